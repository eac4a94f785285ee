"""`python -m agent.echo_agent`: the real agent process with the echo workload.

With ECHO_REAL set it serves the real workloads.
"""

import os
import sys

from podstream_workloads.agent.__main__ import main
from podstream_workloads.agent.registry import WORKLOAD_CLASSES

ECHO = {"circle": "agent.echo_workload:EchoWorkload"}

if __name__ == "__main__":
    sys.exit(main(registry=WORKLOAD_CLASSES if os.environ.get("ECHO_REAL") else ECHO))
