"""What may come next on a command line, read off the parser itself."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Names = Callable[[], Iterable[str]]
"""Gives the names of sessions, where one is wanted."""


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Candidates with their descriptions, and whether files make sense instead."""

    candidates: tuple[tuple[str, str], ...] = ()
    files: bool = False


_FILES = frozenset({"file", "collect", "directory", "kubeconfig"})
_SESSIONS = frozenset({"name", "names"})


def suggest(parser: argparse.ArgumentParser, words: Sequence[str], *, names: Names) -> Suggestions:
    """What the last of `words` could become; the ones before it are whole."""
    *before, last = words or [""]
    pending: argparse.Action | None = None
    positionals = 0
    for word in before:
        if pending is not None:
            pending = None
            continue
        if word.startswith("-"):
            action = parser._option_string_actions.get(word.partition("=")[0])
            takes_value = action is not None and action.nargs != 0 and "=" not in word
            pending = action if takes_value else None
            continue
        inner = _subparsers(parser)
        if inner is not None and word in inner.choices:
            parser, positionals = inner.choices[word], 0
        else:
            positionals += 1
    found = _next(parser, last, pending=pending, positionals=positionals, names=names)
    chosen = tuple(item for item in found.candidates if item[0].startswith(last))
    return Suggestions(chosen, files=found.files)


def _next(
    parser: argparse.ArgumentParser,
    last: str,
    *,
    pending: argparse.Action | None,
    positionals: int,
    names: Names,
) -> Suggestions:
    if pending is not None:
        return _values(pending, names=names)
    if last.startswith("-"):
        options = {
            option: action.help or ""
            for option, action in parser._option_string_actions.items()
            if option.startswith("--")
        }
        return Suggestions(tuple(options.items()))
    inner = _subparsers(parser)
    if inner is not None:
        helps = {item.dest: item.help or "" for item in inner._choices_actions}
        return Suggestions(tuple((name, helps.get(name, "")) for name in inner.choices))
    actions = [
        action
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._HelpAction)
    ]
    if not actions:
        return Suggestions()
    index = min(positionals, len(actions) - 1)
    if index < positionals and actions[index].nargs not in ("*", "+"):
        return Suggestions()
    return _values(actions[index], names=names)


def _values(action: argparse.Action, *, names: Names) -> Suggestions:
    if action.choices is not None:
        return Suggestions(tuple((str(choice), "") for choice in action.choices))
    if action.dest in _FILES:
        return Suggestions(files=True)
    if action.dest in _SESSIONS and not action.option_strings:
        return Suggestions(tuple((name, "session") for name in names()))
    return Suggestions()


def _subparsers(
    parser: argparse.ArgumentParser,
) -> "argparse._SubParsersAction[argparse.ArgumentParser] | None":
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action
    return None
