"""`podstream-circle server|client`: the original ball tracker's programs."""

import os
import sys
from collections.abc import Sequence

from podstream_core.logs import setup_logging
from podstream_workloads.circle.standalone.client import ClientProgram
from podstream_workloads.circle.standalone.display import (
    NoDisplay,
    Window,
    WindowGone,
    require_display,
)
from podstream_workloads.circle.standalone.options import ServerOptions, parse
from podstream_workloads.circle.standalone.program import Program, run_program
from podstream_workloads.circle.standalone.server import ServerProgram
from podstream_workloads.media.logs import quiet_libraries


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the programs; 0 at its end, 1 where it cannot go on, 2 on wrong usage."""
    options = parse(arguments, environment=os.environ)
    setup_logging(level="info", fmt="text", component="circle")
    quiet_libraries()
    try:
        name = "server" if isinstance(options, ServerOptions) else "client"
        window: Window | None = None
        if options.display:
            require_display(os.environ)
            window = Window(name)
        program: Program
        if isinstance(options, ServerOptions):
            program = ServerProgram(options, window=window)
        else:
            program = ClientProgram(options, window=window)
        return run_program(program, window=window)
    except NoDisplay as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's words to its user
        return 2
    except WindowGone as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 1
    except OSError as error:
        print(f"cannot go on: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1


if __name__ == "__main__":
    sys.exit(main())
