"""`podstream-operator`: reads settings and keys, connects to the cluster, runs."""

import asyncio
import logging
import sys

import prometheus_client
import uvloop

from podstream_core.logs import setup_logging
from podstream_operator.agents import HttpAgentClient
from podstream_operator.app import Operator
from podstream_operator.clock import SystemClock
from podstream_operator.cluster.aio_client import AioKubeClient
from podstream_operator.cluster.config import load_configuration, login, own_namespace
from podstream_operator.errors import ConfigError, OperatorError
from podstream_operator.keys import load_keys
from podstream_operator.leader import Fence
from podstream_operator.metrics import Metrics
from podstream_operator.settings import OperatorSettings

logger = logging.getLogger(__name__)


async def run(settings: OperatorSettings) -> None:
    """Run the operator until it is told to stop."""
    keys = load_keys(settings.keys_dir)
    # A creation time beside every counter doubles the series and tells nobody anything.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics = Metrics()
    fence = Fence()
    kube = AioKubeClient(
        await load_configuration(), observer=metrics.api_call, may_write=fence.is_open
    )
    agents = HttpAgentClient(keys.assignment, observer=metrics.agent_call)
    operator = Operator(
        settings,
        keys=keys,
        kube=kube,
        agents=agents,
        metrics=metrics,
        clock=SystemClock(),
        fence=fence,
        login=login,
    )
    await operator.run()


def main() -> None:
    """Console script. Exits with 1 and one clear line where the operator cannot start."""
    try:
        settings = OperatorSettings.from_env(own_namespace=own_namespace())
        setup_logging(level=settings.log_level, fmt=settings.log_format, component="operator")
    except (ConfigError, ValueError) as error:
        sys.exit(f"podstream-operator: {error}")
    # kopf narrates every event at INFO.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except OperatorError as error:
        logger.critical("operator ends: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
