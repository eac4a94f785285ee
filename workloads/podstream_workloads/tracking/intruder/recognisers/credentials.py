"""AWS credentials from a mounted Secret, read again when it is rotated.

A Secret's files change under a running pod: kubelet swaps a symbolic link. botocore asks for the
credentials whenever it signs, and this answers from the files when they have changed. Two forms
are understood: one file per key, named like the environment variables, and the `credentials`
file of the AWS tools with its `default` profile.
"""

import configparser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import botocore.credentials

_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PROFILE: Final = "default"


class NoCredentials(Exception):
    """The folder has none; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """One set of credentials."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"AwsKeys({self.access_key[:4]}...)"


def read_keys(folder: Path) -> AwsKeys:
    """The credentials in a folder.

    Raises:
        NoCredentials: none, or only a part.
    """
    found = {key: _file(folder, key) for key in _KEYS}
    shared = folder / "credentials"
    if not found["AWS_ACCESS_KEY_ID"] and shared.is_file():
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(shared.read_text())
            profile = parser[_PROFILE]
        except (configparser.Error, OSError, KeyError, UnicodeDecodeError) as error:
            raise NoCredentials(f"{shared.name} is no AWS credentials file") from error
        found = {key: profile.get(key.lower(), "") for key in _KEYS}
    access, secret, token = (found[key] for key in _KEYS)
    if not access or not secret:
        raise NoCredentials("no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the Secret")
    return AwsKeys(access, secret, token or None)


def _file(folder: Path, key: str) -> str:
    for name in (key, key.lower()):
        try:
            return (folder / name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue
    return ""


class RotatingCredentials(botocore.credentials.Credentials):  # type: ignore[misc]  # no types
    """What botocore signs with: always the folder's present content.

    While the folder has no credentials the last ones stay; AWS then says that they have expired.
    """

    def __init__(self, folder: Path) -> None:
        """Read them.

        Raises:
            NoCredentials: none there.
        """
        self._folder = folder
        self._stamp = _stamp(folder)
        keys = read_keys(folder)
        super().__init__(keys.access_key, keys.secret_key, keys.token, method="mounted-secret")

    def get_frozen_credentials(self) -> Any:
        """The credentials of this moment; botocore calls it for every signature."""
        self._refresh()
        return super().get_frozen_credentials()

    def _refresh(self) -> None:
        stamp = _stamp(self._folder)
        if stamp == self._stamp:
            return
        try:
            keys = read_keys(self._folder)
        except NoCredentials:
            return  # half written: the next signature looks again
        self.access_key, self.secret_key, self.token = (
            keys.access_key,
            keys.secret_key,
            keys.token,
        )
        self._stamp = stamp


class MountedSecret(botocore.credentials.CredentialProvider):  # type: ignore[misc]  # no types
    """The link in botocore's chain of providers that reads the folder."""

    METHOD = "mounted-secret"
    CANONICAL_NAME = "MountedSecret"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def load(self) -> RotatingCredentials:
        """The folder's credentials, which go on following it.

        Raises:
            NoCredentials: none there; nothing else of the chain is asked instead.
        """
        return RotatingCredentials(self._folder)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when any file of the folder does."""
    stamps = []
    for name in (*_KEYS, *(key.lower() for key in _KEYS), "credentials"):
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        stamps.append((name, status.st_mtime_ns, status.st_ino))
    return tuple(stamps)
