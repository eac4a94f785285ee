"""The installation's signing keys, as the chart mounts them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from podstream_core.tokens import PublicKeys, SigningKey
from podstream_operator.errors import ConfigError

ASSIGNMENT: Final = "assignment"
CLIENT: Final = "client"


@dataclass(frozen=True, slots=True)
class Keys:
    """What the operator signs with."""

    assignment: tuple[SigningKey, ...]
    """The current key and, during a rotation, its predecessor."""
    client: SigningKey

    @property
    def public_jwks(self) -> str:
        """What session pods get: the public halves of the assignment keys."""
        return PublicKeys.of(*self.assignment).to_jwks()


def load_keys(folder: Path) -> Keys:
    """Read `assignment.pem`, `client.pem` and, where it exists, `assignment-previous.pem`.

    Raises:
        ConfigError: a file is missing or holds no Ed25519 private key.
    """
    assignment = [_load(folder / f"{ASSIGNMENT}.pem")]
    previous = folder / f"{ASSIGNMENT}-previous.pem"
    if previous.exists():
        assignment.append(_load(previous))
    return Keys(tuple(assignment), _load(folder / f"{CLIENT}.pem"))


def _load(path: Path) -> SigningKey:
    try:
        return SigningKey.from_pem(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the signing key {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no usable signing key: {error}") from error
