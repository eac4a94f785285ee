"""A Secret with AWS credentials, as the kubelet mounts it, and who is known to AWS."""

from pathlib import Path

KNOWN = 1
"""Seed of one of the people in the fixture `faces`."""


def write_secret(folder: Path, key: str, *, token: str = "") -> None:
    """A Secret's files as the kubelet mounts them: `..data` is a link that is swapped at once."""
    version = folder / f"..{key}{token}"
    version.mkdir(parents=True)
    (version / "AWS_ACCESS_KEY_ID").write_text(f"{key}\n")
    (version / "AWS_SECRET_ACCESS_KEY").write_text("secret")
    (version / "AWS_SESSION_TOKEN").write_text(token)
    link = folder / "..next"
    link.symlink_to(version.name)
    link.replace(folder / "..data")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if not (folder / name).exists():
            (folder / name).symlink_to(f"..data/{name}")
