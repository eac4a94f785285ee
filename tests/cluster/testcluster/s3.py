"""The S3 server that uploads are tested against: Versity's gateway over a folder.

Not a part of the cluster: built when it is asked for, into a folder of its own.
"""

from pathlib import Path

from testcluster import versions
from testcluster.binaries import Module, binaries_key, check_disk, go_build, go_version
from testcluster.console import say, step
from testcluster.locks import locked, prune, published

GATEWAY = Module("s3", "")
PROGRAM = "versitygw"
_DISK_NEEDED_GB = 2


def s3_folder(cache: Path) -> Path:
    """Return the folder of the program, built or not."""
    return cache / "s3" / binaries_key(go_version(), modules=(GATEWAY,))


def ensure_s3(cache: Path) -> Path:
    """Build the server unless the cache has it; return its path.

    Raises:
        ClusterError: Go or disk space is missing, or the build fails.
    """
    target = s3_folder(cache)
    if target.is_dir():
        return target / PROGRAM
    with locked(cache / "s3.lock", doing="building the S3 server"):
        if target.is_dir():
            return target / PROGRAM
        check_disk(cache, needed_gb=_DISK_NEEDED_GB)
        say("Building the S3 server (two to four minutes the first time, then cached):")
        with published(target) as draft, step(f"built versitygw {versions.VERSITYGW}"):
            go_build(GATEWAY, draft, log=cache / "log" / "go-s3.log")
        prune(target.parent, pattern="[0-9a-f]*")
    return target / PROGRAM
