"""Role tokens as Keycloak makes them."""

import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from podstream_workloads.tracking.orchestrator import AuthSettings

AUDIENCE = "orchestrator"
CLIENT, PROCESSOR = "Viewer", "Camera"


@cache
def private_key(name: str = "own") -> rsa.RSAPrivateKey:
    """A key pair for each name."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(name: str = "own") -> str:
    """The public half."""
    encoded = (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return encoded.decode()


def token(
    *roles: str,
    key: str = "own",
    audience: str | None = AUDIENCE,
    expires_in: float | None = 3600,
    **more: Any,
) -> str:
    """A token with roles."""
    claims: dict[str, Any] = {"resource_access": {AUDIENCE: {"roles": list(roles)}}}
    if audience is not None:
        claims["aud"] = audience
    if expires_in is not None:
        claims["exp"] = time.time() + expires_in
    return jwt.encode(claims | more, private_key(key), algorithm="RS256")


def auth(
    *, clients: bool = True, processors: bool = True, open_timelines: bool = False
) -> AuthSettings:
    """Settings that ask for tokens."""
    return AuthSettings(
        public_key=public_pem(),
        audience=AUDIENCE,
        client_role=CLIENT if clients else None,
        processor_role=PROCESSOR if processors else None,
        open_timelines=open_timelines,
    )
