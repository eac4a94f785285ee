"""Role tokens: CPU of one check, against the same library with the key read each time.

    python tests/bench/bench_tracking_tokens.py [--checks 2000] [--json]

The orchestrator reads its public key once and then checks signature (RS256, 2048 bits), expiry,
audience and role. The baseline is `jwt.decode` given the PEM text at every check, as the original
does; the bare signature is what no check can be cheaper than. The target is 100 us a check.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.kept import keep
from podstream_workloads.tracking.orchestrator.tokens import RoleCheck

AUDIENCE, ROLE = "orchestrator", "Viewer"


@dataclass
class Line:
    """One way to check."""

    way: str
    us: float
    ratio: float
    """To the key read each time."""


def cpu_us(act: Callable[[], object], count: int) -> float:
    """CPU of one call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        for _ in range(count // 5):
            act()
        best = min(best, time.process_time() - begin)
    return 1e6 * best / (count // 5)


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU of a token check")
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    claims = {
        "aud": AUDIENCE,
        "exp": time.time() + 3600,
        "resource_access": {AUDIENCE: {"roles": ["Guest", ROLE]}},
    }
    token = jwt.encode(claims, key, algorithm="RS256")
    check = RoleCheck(public_key=pem, audience=AUDIENCE, role=ROLE)
    signature = key.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())

    def read_each_time() -> object:
        return jwt.decode(token, pem, algorithms=["RS256"], audience=AUDIENCE)

    def bare() -> object:
        return public.verify(signature, token.encode(), padding.PKCS1v15(), hashes.SHA256())

    found = {
        "key read each time": cpu_us(read_each_time, options.checks),
        "podstream": cpu_us(lambda: check.expiry_of(token), options.checks),
        "signature alone": cpu_us(bare, options.checks),
    }
    base = found["key read each time"]
    lines = [Line(way, round(us, 1), round(us / base, 2)) for way, us in found.items()]
    for line in lines:
        print(f"{line.way:<20}{line.us:8.1f} us/check  {line.ratio:.2f}x")
    if options.json:
        keep(__file__, [asdict(line) for line in lines])


if __name__ == "__main__":
    main()
