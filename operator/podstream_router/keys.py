"""Owns the installation's keys: signs what goes to pods, checks what comes from clients."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from podstream_core.tokens import PublicKeys, SigningKey
from podstream_router.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Keys:
    """Current and previous keys."""

    signers: tuple[SigningKey, ...]
    """Keys for pods, the current one first. A pod that started before a rotation knows only the
    previous one."""
    client: PublicKeys
    """Keys that client tokens may be signed with."""
    client_signer: SigningKey
    """Signs the tokens of sessions that connections make."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read assignment.pem, client.pem and their optional *-previous.pem.

        Raises:
            SettingsError: a key is missing or no Ed25519 private key.
        """
        client = _load_pair(folder, "client")
        return cls(
            signers=_load_pair(folder, "assignment"),
            client=PublicKeys.of(*client),
            client_signer=client[0],
        )


def _load_pair(folder: Path, purpose: str) -> tuple[SigningKey, ...]:
    current, previous = folder / f"{purpose}.pem", folder / f"{purpose}-previous.pem"
    paths = [current, previous] if previous.exists() else [current]
    try:
        return tuple(SigningKey.from_pem(path.read_bytes()) for path in paths)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"PODSTREAM_KEYS_DIR={folder}: the {purpose} key cannot be read ({error}); mount the "
            "Secret <release>-keys there"
        ) from error
