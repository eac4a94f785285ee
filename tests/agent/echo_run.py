"""`python -m agent.echo_run`: the real local run with the echo workload and a small client."""

import sys

from podstream_workloads.local.__main__ import main

if __name__ == "__main__":
    sys.exit(
        main(
            registry={"circle": "agent.echo_workload:EchoWorkload"},
            client_command=[sys.executable, "-m", "agent.echo_client"],
        )
    )
