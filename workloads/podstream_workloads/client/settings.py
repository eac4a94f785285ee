"""What the client is told from outside; the only place of this package that reads the environment.

A flag wins over its variable, and `--estimator`, `--dp`, `--min-dist` win over the session's spec.
"""

import json
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from podstream_core.api import Estimator
from podstream_core.logs import LogFormat
from podstream_workloads.client.arguments import make_parser
from podstream_workloads.client.errors import UsageError

ENV_URL: Final = "PODSTREAM_CLIENT_URL"
ENV_TOKEN: Final = "PODSTREAM_CLIENT_TOKEN"
ENV_SPEC: Final = "PODSTREAM_CLIENT_SPEC"
ENV_LOG_LEVEL: Final = "PODSTREAM_LOG_LEVEL"
ENV_LOG_FORMAT: Final = "PODSTREAM_LOG_FORMAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySettings:
    """What is done with the frames of a stream."""

    estimator: Estimator = Estimator()
    frames: int | None = None
    """Ends after this many reports; `None`: no limit."""
    duration_s: float | None = None
    """Ends so long after the first connection; `None`: no limit."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Added to every estimate, pixels."""
    drop_first: int = 0
    """Decoded frames of each connection that are not looked at."""
    join_late_s: float = 0.0
    """For so long after the connection is up nothing of the video is taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Everything the client is told."""

    url: str
    """WHEP endpoint."""
    token: str | None = None
    """Bearer token; `None` for a public session."""
    connect_timeout_s: float = 60.0
    """How long the session may take to accept the offer."""
    play: PlaySettings = PlaySettings()
    summary: bool = False
    """Print one line of JSON at the end."""
    log_level: str = "INFO"
    log_format: LogFormat = "text"


def read_settings(
    argv: Sequence[str] | None, *, env: Mapping[str, str] | None = None
) -> ClientSettings:
    """Read arguments and environment.

    Raises:
        UsageError: something is missing or cannot be read; the message names it.
        SystemExit: argparse has printed help (0) or a usage error (2).
    """
    env = os.environ if env is None else env
    arguments = make_parser().parse_args(argv)
    url = arguments.url or env.get(ENV_URL)
    if not url:
        raise UsageError(f"no session to connect to: give --url or set {ENV_URL}")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"the URL {url!r} must begin with http:// or https://")
    return ClientSettings(
        url=url,
        token=_token(arguments.token_file, env=env),
        connect_timeout_s=arguments.connect_timeout,
        play=PlaySettings(
            estimator=_estimator(arguments, spec=env.get(ENV_SPEC)),
            frames=arguments.frames,
            duration_s=arguments.duration,
            offset=arguments.offset,
            drop_first=arguments.drop_first,
            join_late_s=arguments.join_late,
        ),
        summary=arguments.json,
        log_level=(arguments.log_level or env.get(ENV_LOG_LEVEL) or "INFO").upper(),
        log_format=_log_format(env.get(ENV_LOG_FORMAT)),
    )


def _token(file: Path | None, *, env: Mapping[str, str]) -> str | None:
    token = env.get(ENV_TOKEN, "")
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token file {file} cannot be read: {error}") from error
        if not token.strip():
            raise UsageError(f"the token file {file} is empty")
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("the token is not one line of ASCII text without spaces")
    return token or None


def _estimator(arguments: Namespace, *, spec: str | None) -> Estimator:
    base = _estimator_of_spec(spec) if spec else Estimator()
    flags = {
        "method": arguments.estimator and arguments.estimator.capitalize(),
        "dp": arguments.dp,
        "minDist": arguments.min_dist,
    }
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Estimator.from_body({**base.to_body(), **given})
    except msgspec.ValidationError as error:
        raise UsageError(f"--estimator, --dp or --min-dist: {error}") from error


def _estimator_of_spec(text: str) -> Estimator:
    """Read `spec.circle`, or its member `estimator` alone."""
    try:
        body: Any = json.loads(text)
        if isinstance(body, dict) and "estimator" in body:
            body = body["estimator"]
        return Estimator.from_body(body)
    except ValueError as error:  # msgspec's ValidationError is one
        raise UsageError(
            f"{ENV_SPEC} is not the JSON of spec.circle or spec.circle.estimator: {error}"
        ) from error


def _log_format(text: str | None) -> LogFormat:
    if text in (None, "", "text"):
        return "text"
    if text == "json":
        return "json"
    raise UsageError(f"{ENV_LOG_FORMAT} must be json or text, not {text!r}")
