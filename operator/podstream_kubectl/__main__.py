"""Entry point: `kubectl podstream ...`, `kubectl-podstream ...`, `python -m podstream_kubectl`."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from podstream_kubectl.arguments import parse
from podstream_kubectl.commands import (
    control,
    doctor,
    logs,
    recordings,
    results,
    run,
    top,
    view,
    watch,
)
from podstream_kubectl.completion import print_script
from podstream_kubectl.console import Console
from podstream_kubectl.errors import ExitCode, PluginError
from podstream_kubectl.kubectl import Api, Kubectl, Scope

_Command = Callable[..., ExitCode]
_COMMANDS: Final[Mapping[str, _Command]] = {
    "run": run.run,
    "watch": watch.run,
    "results": results.run,
    "logs": logs.run,
    "top": top.run,
    "end": control.end,
    "start": control.set_state,
    "stop": control.set_state,
    "view": view.run,
    "doctor": doctor.run,
    "record start": control.set_recording,
    "record stop": control.set_recording,
    "record list": recordings.show,
    "record get": recordings.get,
}


def execute(options: argparse.Namespace, *, api: Api, console: Console) -> ExitCode:
    """Do what the command line asks for; a refusal becomes a message and its code."""
    action = getattr(options, "action", None)
    command = _COMMANDS[f"{options.command} {action}" if action else options.command]
    try:
        return command(options, api=api, console=console)
    except PluginError as error:
        console.say(f"error: {error}")
        return error.code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough of it (`| head`).
        sys.stderr.close()
        return ExitCode.OK


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the plugin and exit."""
    options = parse(arguments)
    console = Console()
    if options.command == "completion":
        print_script(options, console=console)
        sys.exit(ExitCode.OK)
    scope = Scope(options.namespace, options.context, options.kubeconfig)
    sys.exit(execute(options, api=Kubectl(scope), console=console))


if __name__ == "__main__":
    main()
