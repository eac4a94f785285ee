"""`podstream-circle server|client`: the original ball tracker's programs."""

import os
import sys
from collections.abc import Sequence

from podstream_core.logs import setup_logging
from podstream_workloads.circle.standalone.client import ClientProgram
from podstream_workloads.circle.standalone.display import NoDisplay, require_display
from podstream_workloads.circle.standalone.options import ServerOptions, parse
from podstream_workloads.circle.standalone.program import Program, run_program
from podstream_workloads.circle.standalone.server import ServerProgram


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the programs; 0 at its end, 1 where it cannot go on, 2 on wrong usage."""
    options = parse(arguments, environment=os.environ)
    setup_logging(level="info", fmt="text", component="circle")
    try:
        if options.display:
            require_display()
        program: Program
        if isinstance(options, ServerOptions):
            program = ServerProgram(options)
        else:
            program = ClientProgram(options)
        return run_program(program)
    except NoDisplay as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's words to its user
        return 2
    except OSError as error:
        print(f"cannot go on: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1


if __name__ == "__main__":
    sys.exit(main())
