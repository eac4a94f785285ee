"""A PostgreSQL of our own: Debian's server, on a socket in a temporary folder, without TCP."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOW_TO_INSTALL = "no PostgreSQL server here: apt-get install postgresql"
_PATIENCE_S = "60"


@dataclass
class Postgres:
    """A running server."""

    folder: Path
    programs: Path
    account: str | None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def control(self, order: str, *options: str) -> None:
        """Start or stop it, and wait until that is done."""
        self.run("pg_ctl", order, "-w", "-t", _PATIENCE_S, "-D", f"{self.folder}/data", *options)

    def start(self) -> None:
        settings = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self.control("start", "-l", f"{self.folder}/log", "-o", settings)

    def stop(self) -> None:
        """Stop without asking anybody who is connected."""
        self.control("stop", "-m", "immediate")

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            user=self.account,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def find_programs() -> Path | None:
    """Where the server's programs are; Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """Run a server. It refuses to run as root, so root lends it the account `nobody`."""
    account = "nobody" if os.geteuid() == 0 else None
    # Below /tmp, not in pytest's folder: others may not enter that, and sockets need short paths.
    with tempfile.TemporaryDirectory(prefix="podstream-pg-", dir="/tmp") as name:
        folder = Path(name)
        if account is not None:
            os.chown(folder, pwd.getpwnam(account).pw_uid, -1)
        server = Postgres(folder, programs, account)
        server.run(
            *("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C"),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
