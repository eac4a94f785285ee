"""`podstream-image`; `--help` describes everything."""

import os
import sys
from collections.abc import Sequence

# Read when the library is loaded: its own log lines say less than the errors below.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from podstream_workloads.imageops.cli import compatible, images, serve
from podstream_workloads.imageops.cli.errors import CommandError, Exit
from podstream_workloads.imageops.cli.options import ServeOptions, Service, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is one of `Exit`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse(given, environment=os.environ)
    try:
        if isinstance(options, ServeOptions):
            serve.run(options)
        elif options.service is Service.IMAGES:
            images.run(options)
        else:
            compatible.run(options)
    except CommandError as error:
        print(f"podstream-image: {error}", file=sys.stderr)  # noqa: T201 - words to its user
        return int(error.code)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
