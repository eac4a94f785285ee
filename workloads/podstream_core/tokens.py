"""Signed tokens between the parts: who may assign a pod, control it, connect to it.

All tokens are JWTs (RFC 7519) signed with Ed25519 (RFC 8037). Two key pairs exist, so that the
holder of one cannot forge the other: `assignment` (assignments, control calls and forwarded
connections; held by operator and router) and `client` (what a client presents to the router).
Session pods hold public keys only. The header's `typ` names the kind of token, and a token of one
kind is refused where another is expected (RFC 8725 section 3.11).
"""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM: Final = "EdDSA"
ISSUER: Final = "podstream"
SHORT_LIFETIME_S: Final = 60
"""Tokens between parts expire within a minute: they open no pod a second time."""
LEEWAY_S: Final = 30
"""Tolerated difference between the clocks of two nodes."""


class TokenType(StrEnum):
    """Kinds of token, as the JWT header's `typ`."""

    ASSIGNMENT = "podstream-assignment+jwt"
    """Operator or router to agent: take this session. Audience: the pod."""
    CONTROL = "podstream-control+jwt"
    """Operator or router to agent: read state, drain. Audience: the pod."""
    CONNECTION = "podstream-connection+jwt"
    """Router to agent: this client's connection. Audience: the pod."""
    CLIENT = "podstream-client+jwt"
    """Client to router. Audience: the router; subject: UID of the session or pool that it opens, or
    the id under which a router has assigned the session's pod."""


CLIENT_AUDIENCE: Final = "podstream-router"


def pod_audience(pod_uid: str) -> str:
    """Audience of every token that is meant for one pod."""
    return f"pod:{pod_uid}"


class TokenError(Exception):
    """A token is not acceptable; the message says why and carries no secret."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and the id under which its public half is published."""

    private: Ed25519PrivateKey
    kid: str

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Load a PKCS #8 PEM.

        Raises:
            ValueError: the PEM holds no Ed25519 private key.
        """
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"expected an Ed25519 private key, found {type(key).__name__}")
        return cls(key, key_id(key.public_key()))

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new key."""
        key = Ed25519PrivateKey.generate()
        return cls(key, key_id(key.public_key()))

    def sign(
        self,
        kind: TokenType,
        *,
        audience: str,
        subject: str,
        lifetime_s: float = SHORT_LIFETIME_S,
        claims: Mapping[str, Any] | None = None,
        now: float | None = None,
    ) -> str:
        """Sign a token of a kind."""
        issued = time.time() if now is None else now
        payload = {
            **(claims or {}),
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "iat": int(issued),
            "exp": int(issued + lifetime_s),
            "jti": uuid.uuid4().hex,
        }
        headers = {"typ": kind.value, "kid": self.kid}
        return jwt.encode(payload, self.private, algorithm=ALGORITHM, headers=headers)


def key_id(key: Ed25519PublicKey) -> str:
    """Short digest of a public key, the `kid` of its tokens."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """Public keys by `kid`: the current one of a purpose and, during rotation, its predecessor."""

    by_kid: Mapping[str, Ed25519PublicKey]

    @classmethod
    def of(cls, *keys: SigningKey) -> "PublicKeys":
        """The public halves of signing keys."""
        return cls({key.kid: key.private.public_key() for key in keys})

    def to_jwks(self) -> str:
        """JWK set (RFC 7517) as compact JSON."""
        algorithm = jwt.algorithms.OKPAlgorithm()
        keys = [
            {**algorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig", "alg": ALGORITHM}
            for kid, key in self.by_kid.items()
        ]
        return json.dumps({"keys": keys}, separators=(",", ":"))

    @classmethod
    def from_jwks(cls, text: str) -> "PublicKeys":
        """Read a JWK set.

        Raises:
            ValueError: not a JWK set of Ed25519 public keys.
        """
        algorithm = jwt.algorithms.OKPAlgorithm()
        keys: dict[str, Ed25519PublicKey] = {}
        try:
            for item in json.loads(text)["keys"]:
                key = algorithm.from_jwk(item)
                if not isinstance(key, Ed25519PublicKey):
                    raise ValueError(f"key {item.get('kid')!r} is no Ed25519 public key")
                keys[item["kid"]] = key
        except (KeyError, TypeError, jwt.InvalidKeyError) as error:
            raise ValueError(f"not a JWK set of Ed25519 keys: {error}") from error
        return cls(keys)

    def verify(self, token: str, *, kind: TokenType, audience: str) -> dict[str, Any]:
        """Check signature, kind, issuer, audience and time; return the claims.

        Raises:
            TokenError: the token is not acceptable.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise TokenError(f"not a token: {error}") from error
        if header.get("typ") != kind.value:
            raise TokenError(f"expected a token of type {kind.value}")
        key = self.by_kid.get(str(header.get("kid")))
        if key is None:
            raise TokenError("signed with a key that is not known here")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "sub", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise TokenError(str(error)) from error
        return claims
