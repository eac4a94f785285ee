"""`python -m agent.echo_agent`: the real agent process with the echo workload."""

import sys

from podstream_workloads.agent.__main__ import main

if __name__ == "__main__":
    sys.exit(main(registry={"circle": "agent.echo_workload:EchoWorkload"}))
