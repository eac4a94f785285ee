"""Reads the sessions of a file."""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from podstream_kubectl.errors import UsageError

_KIND: Final = "StreamSession"
_GROUP: Final = "podstream.dev/"


def read_manifests(path: str, *, name: str | None = None) -> list[dict[str, Any]]:
    """The StreamSessions of a YAML or JSON file, or of standard input for `-`.

    Args:
        path: the file.
        name: name for its only session, instead of the one that the file says.

    Raises:
        UsageError: it cannot be read or holds something else.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    try:
        documents = [item for item in yaml.safe_load_all(text) if item is not None]
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {error}") from error
    if not documents:
        raise UsageError(f"{path} holds no object")
    for document in documents:
        _check(document, path=path)
    if name is not None:
        if len(documents) > 1:
            raise UsageError(f"--name needs a file with one session; {path} has {len(documents)}")
        documents[0]["metadata"]["name"] = name
    names = [document["metadata"]["name"] for document in documents]
    if len(set(names)) != len(names):
        raise UsageError(f"{path} names the same session twice")
    return documents


def _check(document: Any, *, path: str) -> None:
    kind = document.get("kind") if isinstance(document, dict) else None
    version = str(document.get("apiVersion")) if isinstance(document, dict) else ""
    if kind != _KIND or not version.startswith(_GROUP):
        raise UsageError(
            f"{path} holds {kind or 'something without a kind'}, not only {_KIND}s of podstream.dev"
            "; apply other objects with kubectl apply"
        )
    metadata = document.setdefault("metadata", {})
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise UsageError(f"a session in {path} has no metadata.name")
