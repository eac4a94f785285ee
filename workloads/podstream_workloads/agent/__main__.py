"""`podstream-agent`: process 1 of a session pod."""

import logging
import sys
from collections.abc import Mapping

from podstream_core.logs import set_process_log_fields, setup_logging
from podstream_workloads.agent.errors import SettingsError, describe_group
from podstream_workloads.agent.registry import WORKLOAD_CLASSES
from podstream_workloads.agent.runtime import run_process
from podstream_workloads.agent.settings import AgentSettings

_EXIT_USAGE = 2

logger = logging.getLogger(__name__)


def main(*, registry: Mapping[str, str] = WORKLOAD_CLASSES) -> int:
    """Run the agent; 0 completed, 1 failed, 2 cannot start."""
    try:
        settings = AgentSettings.from_env()
        unknown = [name for name in settings.workloads or () if name not in registry]
        if unknown:
            known = ", ".join(registry)
            raise SettingsError(f"PODSTREAM_WORKLOADS: no workload {unknown[0]!r}, only {known}")
    except SettingsError as error:
        sys.stderr.write(f"podstream-agent: {error}\n")
        return _EXIT_USAGE
    setup_logging(level=settings.log_level, fmt=settings.log_format, component="agent")
    set_process_log_fields(pod=settings.pod_name or None)
    code = _EXIT_USAGE
    try:
        code = run_process(settings, registry=registry)
    except* OSError as group:
        logger.critical("the agent cannot go on: %s", describe_group(group))
    return code


if __name__ == "__main__":
    sys.exit(main())
