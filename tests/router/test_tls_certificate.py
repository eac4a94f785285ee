"""The certificate of the router's TLS: read at the start, and again when its files change."""

import logging
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from podstream_router.settings import SettingsError
from podstream_router.tls import Certificate
from router.certificates import MountedSecret, self_signed


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    made = MountedSecret(tmp_path)
    made.write(*self_signed())
    return made


def test_a_certificate_stays_until_it_changes(secret: MountedSecret) -> None:
    certificate = Certificate(secret.folder)
    first = certificate.context()
    assert certificate.context() is first
    secret.write(*self_signed("other.example.org"))
    assert certificate.context() is not first


def test_one_that_cannot_be_used_leaves_the_last_good_one(
    secret: MountedSecret, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(secret.folder)
    first = certificate.context()
    secret.write(self_signed()[0], self_signed()[1])  # of two pairs
    with caplog.at_level(logging.WARNING):
        assert certificate.context() is first
        assert certificate.context() is first
    assert len(caplog.records) == 1, "said once"
    (secret.folder / "..data").unlink()
    with caplog.at_level(logging.WARNING):
        assert certificate.context() is first
        assert certificate.context() is first
    assert len(caplog.records) == 2, "missing files are said once, too"
    secret.write(*self_signed())
    assert certificate.context() is not first


@pytest.mark.parametrize("missing", ["folder", "key"])
def test_a_router_without_a_usable_certificate_says_what_to_mount(
    tmp_path: Path, missing: str
) -> None:
    if missing == "key":
        (tmp_path / "tls.crt").write_bytes(self_signed()[0])
        (tmp_path / "tls.key").write_bytes(b"no key")
    with pytest.raises(SettingsError, match=r"kubernetes\.io/tls"):
        Certificate(tmp_path)


def test_an_encrypted_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    certificate, key = self_signed()
    (tmp_path / "tls.crt").write_bytes(certificate)
    locked = serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "tls.key").write_bytes(locked)
    with pytest.raises(SettingsError, match="encrypted"):
        Certificate(tmp_path)
