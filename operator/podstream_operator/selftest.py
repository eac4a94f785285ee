"""What `helm test` runs: one session with the built-in client must complete.

Owns nothing of the operator. Started as `python -m podstream_operator.selftest` in a pod whose
service account may create, read and delete StreamSessions in one namespace.
"""

import argparse
import asyncio
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

from kubernetes.aio import client, config

from podstream_core.api import Phase, StreamSession
from podstream_core.names import API_VERSION, GROUP, SESSION_KIND, SESSION_PLURAL, VERSION

POLL_S: Final = 1.0
REQUEST_TIMEOUT_S: Final = 15.0
FRAMES: Final = 90
"""Three seconds of scored video: enough to see media flow both ways."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to test."""

    namespace: str
    name: str
    timeout_s: int


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line; exits with a usage message where it is wrong."""
    parser = argparse.ArgumentParser(prog="podstream-selftest", description=__doc__)
    parser.add_argument("--namespace", required=True, help="namespace for the session")
    parser.add_argument("--name", required=True, help="first part of the session's name")
    parser.add_argument("--timeout", type=int, default=180, help="seconds (default 180)")
    values = parser.parse_args(arguments)
    # A name of its own each time: a second run must not find what the first left behind.
    name = f"{values.name}-{secrets.token_hex(3)}"
    return Options(namespace=values.namespace, name=name, timeout_s=values.timeout)


def build_session(options: Options) -> dict[str, Any]:
    """The session that is applied."""
    return {
        "apiVersion": API_VERSION,
        "kind": SESSION_KIND,
        "metadata": {"name": options.name, "namespace": options.namespace},
        "spec": {
            "circle": {"width": 320, "height": 240, "fps": 30, "frames": FRAMES},
            "client": {"builtIn": True},
            "startupTimeoutSeconds": options.timeout_s,
            "activeDeadlineSeconds": options.timeout_s,
            "lingerSeconds": 0,
        },
    }


def find_problem(session: StreamSession) -> str | None:
    """Why an ended session is not good enough; `None` where it is."""
    status = session.status
    if status.phase is Phase.FAILED:
        return f"the session failed: {status.reason}: {status.message}"
    circle = status.results.circle if status.results else None
    if circle is None or status.results is None or not status.results.final:
        return "the session completed without final results"
    if circle.frames_scored < FRAMES or circle.rmse_px is None:
        return f"only {circle.frames_scored} of {FRAMES} frames were scored"
    return None


def figures(session: StreamSession) -> str:
    """The results of a session that has any, on one line."""
    circle = session.status.results.circle if session.status.results else None
    if circle is None or circle.rmse_px is None:
        return "no figures"
    codec = circle.codec.value if circle.codec else "unknown codec"
    return (
        f"RMSE {circle.rmse_px:.4f} px over {circle.frames_scored} frames, "
        f"{circle.fps or 0:.1f} fps, {codec}"
    )


def describe(session: StreamSession) -> str:
    """One line about where a session stands."""
    status = session.status
    pod = status.pod.name if status.pod else "no pod yet"
    return f"{status.phase.value if status.phase else 'not seen by the operator yet'}, {pod}"


class Sessions:
    """The three calls that the test makes, on one namespace."""

    def __init__(self, api: client.CustomObjectsApi, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def create(self, body: dict[str, Any]) -> None:
        """Create a session."""
        await self._api.create_namespaced_custom_object(
            group=GROUP,
            version=VERSION,
            namespace=self._namespace,
            plural=SESSION_PLURAL,
            body=body,
            _request_timeout=REQUEST_TIMEOUT_S,
        )

    async def read(self, name: str) -> StreamSession:
        """Read a session."""
        body = await self._api.get_namespaced_custom_object(
            group=GROUP,
            version=VERSION,
            namespace=self._namespace,
            plural=SESSION_PLURAL,
            name=name,
            _request_timeout=REQUEST_TIMEOUT_S,
        )
        return StreamSession.from_body(body)

    async def delete(self, name: str) -> None:
        """Delete a session with everything that it owns."""
        await self._api.delete_namespaced_custom_object(
            group=GROUP,
            version=VERSION,
            namespace=self._namespace,
            plural=SESSION_PLURAL,
            name=name,
            _request_timeout=REQUEST_TIMEOUT_S,
        )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # the output of helm test --logs


async def wait_for_end(sessions: Sessions, *, name: str) -> StreamSession:
    """Poll until the session has completed or failed; says each step once."""
    seen = ""
    while True:
        session = await sessions.read(name)
        if (line := describe(session)) != seen:
            seen = line
            _say(line)
        if session.status.phase is not None and session.status.phase.is_terminal:
            return session
        await asyncio.sleep(POLL_S)


async def run(sessions: Sessions, *, options: Options) -> int:
    """Create the session, wait for its end, print its figures, delete it; the exit status.

    A session that failed stays, for whoever looks into it, until its own time limit.
    """
    started = time.monotonic()
    await sessions.create(build_session(options))
    _say(f"session {options.namespace}/{options.name} applied")
    try:
        async with asyncio.timeout(options.timeout_s):
            session = await wait_for_end(sessions, name=options.name)
    except TimeoutError:
        _say(
            f"FAILED: the session did not end within {options.timeout_s} s; look at "
            f"kubectl -n {options.namespace} describe streamsession {options.name}"
        )
        return 1
    if problem := find_problem(session):
        _say(f"FAILED: {problem}")
        return 1
    await sessions.delete(options.name)
    _say(f"OK: {figures(session)}, {time.monotonic() - started:.1f} s in all")
    return 0


async def run_in_cluster(options: Options) -> int:
    """Run with the service account of this pod; the exit status."""
    config.load_incluster_config()  # type: ignore[no-untyped-call]
    async with client.ApiClient() as connection:
        sessions = Sessions(client.CustomObjectsApi(connection), namespace=options.namespace)
        return await run(sessions, options=options)


def main() -> None:
    """Entry point of `python -m podstream_operator.selftest`."""
    sys.exit(asyncio.run(run_in_cluster(parse_options())))


if __name__ == "__main__":
    main()
