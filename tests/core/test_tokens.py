from collections.abc import Callable

import jwt
import pytest

from podstream_core.tokens import (
    PublicKeys,
    SigningKey,
    TokenError,
    TokenType,
    pod_audience,
)

KEY = SigningKey.generate()
KEYS = PublicKeys.of(KEY)
POD = pod_audience("pod-uid")
_PUBLIC_BYTES = KEY.private.public_key().public_bytes_raw()


def _sign(**more: object) -> str:
    given = {"audience": POD, "subject": "session-uid", **more}
    return KEY.sign(TokenType.CONTROL, **given)  # type: ignore[arg-type]


def test_a_token_carries_its_claims_to_the_right_receiver() -> None:
    token = _sign(claims={"role": "player"})
    claims = KEYS.verify(token, kind=TokenType.CONTROL, audience=POD)
    assert (claims["sub"], claims["role"]) == ("session-uid", "player")


def _by_hmac() -> str:
    """A forgery that takes the public key for a shared secret."""
    return jwt.encode(
        {"aud": POD, "sub": "x", "iss": "podstream", "iat": 1, "exp": 9_999_999_999},
        _PUBLIC_BYTES.hex(),
        algorithm="HS256",
        headers={"typ": TokenType.CONTROL.value, "kid": KEY.kid},
    )


# Made when a test runs: tokens expire within a minute, a test run takes longer.
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: "nonsense", "not a token", id="not a JWT"),
        pytest.param(lambda: _sign(audience=pod_audience("another")), "udience", id="another pod"),
        pytest.param(lambda: _sign(now=1_000_000.0), "expired", id="expired"),
        pytest.param(
            lambda: SigningKey.generate().sign(TokenType.CONTROL, audience=POD, subject="x"),
            "not known",
            id="unknown key",
        ),
        pytest.param(
            lambda: KEY.sign(TokenType.CONNECTION, audience=POD, subject="x"),
            "expected a token of type",
            id="another kind",
        ),
        pytest.param(_by_hmac, "alg", id="HMAC with the public key"),
    ],
)
def test_unacceptable_tokens_are_refused_with_the_reason(
    make: Callable[[], str], reason: str
) -> None:
    with pytest.raises(TokenError, match=reason):
        KEYS.verify(make(), kind=TokenType.CONTROL, audience=POD)


def test_public_keys_survive_the_way_through_a_pods_environment() -> None:
    previous = SigningKey.generate()
    read = PublicKeys.from_jwks(PublicKeys.of(KEY, previous).to_jwks())
    old = previous.sign(TokenType.CONTROL, audience=POD, subject="x")
    assert set(read.by_kid) == {KEY.kid, previous.kid}
    assert read.verify(old, kind=TokenType.CONTROL, audience=POD)["sub"] == "x"


@pytest.mark.parametrize("text", ["", "{}", '{"keys": [{"kty": "oct", "k": "AA"}]}'])
def test_junk_is_no_key_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"JWK|Expecting"):
        PublicKeys.from_jwks(text)
