"""kubectl for tests: JSON in, JSON out, failures with the command's own words."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

NAMESPACE = "podstream"
T = TypeVar("T")


class Refused(Exception):
    """kubectl ended with an error; its text is the message."""


def kubectl(*arguments: str, stdin: str | None = None, namespace: str | None = NAMESPACE) -> str:
    """Run kubectl; return its output or raise `Refused` with its error text."""
    scope = ["-n", namespace] if namespace else []
    done = subprocess.run(
        ["kubectl", *scope, *arguments],
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=240,
    )
    if done.returncode:
        raise Refused(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def get(kind: str, name: str, *, namespace: str | None = NAMESPACE) -> dict[str, Any] | None:
    """One object, or `None` where it does not exist."""
    text = kubectl("get", kind, name, "-o", "json", "--ignore-not-found", namespace=namespace)
    if not text.strip():
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def items(
    kind: str, *, selector: str = "", namespace: str | None = NAMESPACE
) -> list[dict[str, Any]]:
    """All objects of a kind that match a label selector."""
    extra = ["-l", selector] if selector else []
    found: list[dict[str, Any]] = json.loads(
        kubectl("get", kind, *extra, "-o", "json", namespace=namespace)
    )["items"]
    return found


def apply(manifest: dict[str, Any], *, namespace: str | None = NAMESPACE) -> None:
    """`kubectl apply` of one object."""
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest), namespace=namespace)


def delete(kind: str, name: str, *, namespace: str | None = NAMESPACE, wait: bool = True) -> None:
    """Delete one object; no error where it is gone."""
    kubectl(
        "delete", kind, name, "--ignore-not-found", f"--wait={str(wait).lower()}",
        namespace=namespace,
    )  # fmt: skip


def until(check: Callable[[], T], *, what: str, timeout_s: float = 60) -> T:
    """Repeat a check until it is true-ish and return its value.

    Raises:
        AssertionError: the time is over; names what was waited for and the last value.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up after {timeout_s} s waiting for {what}: {value!r}")
        time.sleep(0.1)
