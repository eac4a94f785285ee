"""The command line: every command, its options and examples. Says nothing about what they do."""

import argparse
from collections.abc import Sequence
from typing import Final, NoReturn

from podstream_kubectl.errors import ExitCode

EXAMPLES: Final = """examples:
  # create a session, wait for its end, print what it measured, remove it
  kubectl podstream run -f crds/samples/circle.yaml --delete
  # the same for a script
  kubectl podstream run -f session.yaml -o json --timeout 5m || echo "exit code $?"
  # what a session measured, for a spreadsheet
  kubectl podstream results ball -o csv > ball.csv
  # everything about one session, for a bug report
  kubectl podstream logs ball --collect ball-logs
  # is this installation in order?
  kubectl podstream doctor

exit codes: 0 done, 1 the session failed or doctor found something broken, 2 wrong usage,
3 --timeout has passed, 4 the cluster refused, 5 no cluster answers, 130 interrupted
"""

OUTPUTS: Final = {
    "run": ("table", "json", "csv"),
    "results": ("table", "json", "csv"),
    "watch": ("table", "json"),
    "top": ("table", "json"),
    "view": ("text", "json"),
    "doctor": ("text", "json"),
    "record list": ("table", "json"),
}
SHELLS: Final = ("bash", "zsh", "fish")


class _Parser(argparse.ArgumentParser):
    """Ends with the plugin's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(ExitCode.USAGE, f"error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="kubectl podstream",
        description="Run, watch, control and examine podstream's sessions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_scope(parser, default=None)
    scope = _Parser(add_help=False)
    # What is not given after the command must not undo what was given before it.
    _add_scope(scope, default=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_running(commands, scope)
    _add_reading(commands, scope)
    _add_control(commands, scope)
    _add_recording(commands, scope)
    _add_help(commands, scope)
    return parser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits with usage and code 2 where it is wrong."""
    return build_parser().parse_args(arguments)


def _add_scope(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    group = parser.add_argument_group("cluster")
    for names, text in (
        (("-n", "--namespace"), "namespace (default: that of the context)"),
        (("--context",), "context of the kubeconfig (default: the current one)"),
        (("--kubeconfig",), "path of the kubeconfig"),
    ):
        group.add_argument(*names, help=text, default=default)


_Commands = argparse._SubParsersAction


def _command(
    commands: "_Commands[_Parser]",
    name: str,
    *,
    scope: _Parser,
    text: str,
    examples: Sequence[str] = (),
) -> "_Parser":
    epilog = "\n  ".join(["examples:", *examples]) if examples else None
    return commands.add_parser(
        name,
        parents=[scope],
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_output(command: argparse.ArgumentParser, name: str) -> None:
    forms = OUTPUTS[name]
    command.add_argument("-o", "--output", choices=forms, default=forms[0], help="form of output")


def _add_timeout(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--timeout",
        default="0",
        metavar="DURATION",
        help="give up waiting after this, such as 90s, 5m or 2h; 0, the default: never. The "
        "session's own time limits hold in any case",
    )


def _add_running(commands: "_Commands[_Parser]", scope: _Parser) -> None:
    run = _command(
        commands,
        "run",
        scope=scope,
        text="create the sessions of a file, wait for their ends and print what they measured",
        examples=[
            "kubectl podstream run -f crds/samples/circle.yaml",
            "kubectl podstream run -f session.yaml --name ball-2 --timeout 5m --delete -o json",
        ],
    )
    run.add_argument("-f", "--file", required=True, help="YAML or JSON; - for standard input")
    run.add_argument("--name", help="name for the file's only session")
    run.add_argument("--delete", action="store_true", help="delete the sessions afterwards")
    _add_timeout(run)
    _add_output(run, "run")
    watch = _command(
        commands,
        "watch",
        scope=scope,
        text="print a line whenever a session changes; ends with the sessions that are named",
        examples=["kubectl podstream watch", "kubectl podstream watch ball --timeout 5m"],
    )
    watch.add_argument("names", nargs="*", metavar="NAME", help="sessions (default: all)")
    _add_timeout(watch)
    _add_output(watch, "watch")


def _add_reading(commands: "_Commands[_Parser]", scope: _Parser) -> None:
    results = _command(
        commands,
        "results",
        scope=scope,
        text="print what sessions measured",
        examples=["kubectl podstream results ball", "kubectl podstream results ball cube -o csv"],
    )
    results.add_argument("names", nargs="+", metavar="NAME", help="sessions")
    _add_output(results, "results")
    logs = _command(
        commands,
        "logs",
        scope=scope,
        text="print the log of a session's pod, or collect all that there is about the session",
        examples=[
            "kubectl podstream logs ball -f",
            "kubectl podstream logs ball --client",
            "kubectl podstream logs ball --collect ball-logs",
        ],
    )
    logs.add_argument("name", metavar="NAME", help="session")
    what = logs.add_mutually_exclusive_group()
    what.add_argument("-f", "--follow", action="store_true", help="go on until the pod ends")
    what.add_argument(
        "--collect",
        metavar="DIR",
        help="write session, pods, their logs and events into a folder, ended pods included as "
        "long as the cluster has them",
    )
    logs.add_argument("--client", action="store_true", help="the built-in client's log")
    logs.add_argument("--tail", type=int, default=-1, metavar="N", help="last lines only")
    top = _command(
        commands,
        "top",
        scope=scope,
        text="print CPU and memory of sessions (needs metrics-server), and what they deliver",
        examples=["kubectl podstream top -A", "kubectl podstream top --ended -o json"],
    )
    top.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    top.add_argument("--ended", action="store_true", help="those that have ended, too")
    _add_output(top, "top")


def _add_control(commands: "_Commands[_Parser]", scope: _Parser) -> None:
    end = _command(
        commands,
        "end",
        scope=scope,
        text="end sessions now; their results stay in their status",
        examples=["kubectl podstream end ball --wait", "kubectl podstream end ball --delete"],
    )
    end.add_argument("names", nargs="+", metavar="NAME", help="sessions")
    end.add_argument("--wait", action="store_true", help="wait until they have ended")
    end.add_argument("--delete", action="store_true", help="delete them, results included")
    end.add_argument("--url", help="base URL of the router (default: as the cluster says)")
    _add_timeout(end)
    for name, text in (
        ("start", "let stream sessions take frames again (spec.stream.state: Running)"),
        ("stop", "let stream sessions take no frames (spec.stream.state: Stopped)"),
    ):
        command = _command(
            commands, name, scope=scope, text=text, examples=[f"kubectl podstream {name} camera"]
        )
        command.add_argument("names", nargs="+", metavar="NAME", help="sessions")
    view = _command(
        commands,
        "view",
        scope=scope,
        text="print the address of the dashboard, for one session or for all; or play a stream "
        "in the terminal",
        examples=[
            "kubectl podstream view",
            "kubectl podstream view ball --open --token",
            "kubectl podstream view camera --terminal      # q or Ctrl-C ends it",
        ],
    )
    view.add_argument("name", nargs="?", metavar="NAME", help="session")
    view.add_argument("--open", action="store_true", help="open it in a browser")
    view.add_argument(
        "-t",
        "--terminal",
        action="store_true",
        help="play a stream's video here, two pixels a character (24-bit colour)",
    )
    view.add_argument("--token", action="store_true", help="print the session's token, too")
    view.add_argument("--url", help="base URL of the router (default: as the cluster says)")
    _add_output(view, "view")


def _add_recording(commands: "_Commands[_Parser]", scope: _Parser) -> None:
    record = _command(
        commands,
        "record",
        scope=scope,
        text="start and stop recordings of stream sessions, list and download them",
        examples=[
            "kubectl podstream record start camera",
            "kubectl podstream record list camera",
            "kubectl podstream record get camera -d recordings",
        ],
    )
    actions = record.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ("start", "stop"):
        text = f"{name} recording"
        command = _command(actions, name, scope=scope, text=text)
        command.add_argument("names", nargs="+", metavar="NAME", help="sessions")
    listing = _command(actions, "list", scope=scope, text="list finished recordings")
    listing.add_argument("name", metavar="NAME", help="session")
    _add_output(listing, "record list")
    get = _command(actions, "get", scope=scope, text="download recordings through the router")
    get.add_argument("name", metavar="NAME", help="session")
    get.add_argument("recordings", nargs="*", metavar="RECORDING", help="default: all in status")
    get.add_argument("-d", "--directory", default=".", metavar="DIR", help="where to (default: .)")
    get.add_argument("--url", help="base URL of the router (default: as the cluster says)")


def _add_help(commands: "_Commands[_Parser]", scope: _Parser) -> None:
    doctor = _command(
        commands,
        "doctor",
        scope=scope,
        text="check the installation and say what to fix",
        examples=["kubectl podstream doctor", "kubectl podstream doctor -o json"],
    )
    _add_output(doctor, "doctor")
    completion = _command(
        commands,
        "completion",
        scope=scope,
        text="print the completion script of a shell, for the command kubectl-podstream",
        examples=[
            "source <(kubectl podstream completion bash)",
            "kubectl podstream completion zsh > ~/.zfunc/_kubectl-podstream",
            "kubectl podstream completion fish > ~/.config/fish/completions/kubectl-podstream.fish",
        ],
    )
    completion.add_argument("shell", choices=SHELLS)
