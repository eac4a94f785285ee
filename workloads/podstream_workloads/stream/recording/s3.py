"""Files into a bucket of an S3-compatible server.

The protocol is obstore's: signatures, uploads in parts, checksums (`x-amz-checksum-sha256`, which
the server verifies; Amazon S3 User Guide, "Checking object integrity"). An object appears whole or
not at all. The credentials are files that the kubelet brings up to date; they are read for each
upload, so a rotated key needs no new pod.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from podstream_core import names
from podstream_core.api import S3Storage
from podstream_workloads.stream.recording.s3_errors import explain
from podstream_workloads.stream.recording.sealing import Finished
from podstream_workloads.stream.recording.uploading import StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

_PART_BYTES: Final = 8 << 20
_MOST_PARTS: Final = 9000
"""Amazon's limit is 10,000."""
_PARTS_AT_ONCE: Final = 2
"""Each is in memory while it is sent."""


class _Credentials(NamedTuple):
    access_key_id: str
    secret_access_key: str
    session_token: str
    ca: str
    """Certificates in PEM that are trusted beside the usual ones."""


class S3Bucket:
    """The part of a bucket that is one session's."""

    def __init__(self, storage: S3Storage, *, folder: Path, session_uid: str) -> None:
        """Name a bucket; nothing is read or sent before the first `put`.

        Args:
            storage: of the session's spec.
            folder: with the credentials' files.
            session_uid: keeps the files of sessions apart that name theirs alike.
        """
        self._storage = storage
        self._folder = folder
        self._prefix = "/".join(part for part in (storage.prefix, session_uid) if part)
        self._keys: dict[Path, str] = {}
        self._known: tuple[_Credentials, S3Store] | None = None

    def put(self, finished: Finished) -> str:
        """See `Store.put`. A file keeps its key however often it is tried."""
        import obstore  # noqa: PLC0415 - 16 MB that sessions without a bucket do not load
        from obstore.exceptions import BaseError  # noqa: PLC0415

        store = self._open()
        path = finished.path
        path.stat()  # obstore's own error would be taken for the server's
        try:
            key = self._keys.get(path) or self._free_key(store, path)
            obstore.put(
                store,
                key,
                path,
                attributes={"Content-Type": _content_type(path), "sha256": finished.sha256},
                chunk_size=max(_PART_BYTES, -(-finished.bytes // _MOST_PARTS)),
                max_concurrency=_PARTS_AT_ONCE,
            )
        except (BaseError, FileNotFoundError) as error:  # the latter is how it says 404
            where = f"bucket {self._storage.bucket} at {self._storage.endpoint or 'Amazon S3'}"
            # From nothing: the error's text has the whole request.
            raise StoreError(f"{where}: {explain(str(error))}") from None
        return f"s3://{self._storage.bucket}/{key}"

    def _open(self) -> "S3Store":
        credentials = self._read()
        if self._known is None or self._known[0] != credentials:
            self._known = credentials, _connect(self._storage, credentials)
        return self._known[1]

    def _read(self) -> _Credentials:
        values = []
        for key in names.S3_KEYS:
            try:
                values.append((self._folder / key).read_text().strip())
            except (OSError, UnicodeDecodeError):
                values.append("")
        found = _Credentials(*values)
        if not found.access_key_id or not found.secret_access_key:
            raise StoreError(
                f"Secret {self._storage.credentials_secret_ref.name} has to have the keys "
                f"{names.S3_ACCESS_KEY_ID} and {names.S3_SECRET_ACCESS_KEY}; what is changed there "
                "reaches the pod after a minute or two"
            )
        if not all(value.isascii() and value.isprintable() for value in found[:3]):
            raise StoreError(
                f"Secret {self._storage.credentials_secret_ref.name}: a key has a line break or "
                "another character that no credential has"
            )
        return found

    def _free_key(self, store: "S3Store", path: Path) -> str:
        """A key that no object has: a replacement pod may name its files as its predecessor did.

        Once found it stays the file's, so that an upload whose answer was lost is repeated.
        Credentials that may write and not read cannot tell; then the plain name is taken.
        """
        import obstore  # noqa: PLC0415
        from obstore.exceptions import PermissionDeniedError  # noqa: PLC0415

        stem, dot, extension = path.name.rpartition(".")
        number = 1
        while True:
            suffix = "" if number == 1 else f"-{number}"
            key = f"{self._prefix}/{stem}{suffix}{dot}{extension}"
            try:
                obstore.head(store, key)
            except FileNotFoundError:
                self._keys[path] = key
                return key
            except PermissionDeniedError:
                return key
            number += 1


def _connect(storage: S3Storage, credentials: _Credentials) -> "S3Store":
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import S3Store  # noqa: PLC0415

    config: S3Config = {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "region": storage.region,
        "checksum_algorithm": "SHA256",
        # Other servers than Amazon's have rarely a host name for each bucket.
        "virtual_hosted_style_request": storage.endpoint is None,
    }
    if credentials.session_token:
        config["session_token"] = credentials.session_token
    client: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}
    if storage.endpoint is not None:
        config["endpoint"] = storage.endpoint
        client["allow_http"] = storage.endpoint.startswith("http:")
    if credentials.ca:
        client["root_certificate"] = credentials.ca
    try:
        # No retries of its own: the uploader's are told in status.
        return S3Store(
            storage.bucket, config=config, client_options=client, retry_config={"max_retries": 0}
        )
    except (BaseError, ValueError) as error:
        raise StoreError(f"{names.S3_CA} or the endpoint cannot be used: {error}") from None


def _content_type(path: Path) -> str:
    return "video/mp4" if path.suffix == ".mp4" else "video/x-msvideo"
