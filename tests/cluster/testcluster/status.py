"""Shows what is built, what runs and where the logs are."""

from collections.abc import Sequence
from pathlib import Path

from testcluster import lifecycle, processes, state, teardown
from testcluster.binaries import binaries_folder
from testcluster.console import put, say
from testcluster.errors import ClusterError
from testcluster.instance import Instance
from testcluster.kubectl import Kubectl


def show(instance: Instance) -> bool:
    """Print the state of the cluster; return whether it is up and works."""
    binaries = binaries_folder(instance.cache)
    put(f"programs  {binaries}{'' if binaries.is_dir() else '  (not built)'}")
    put(f"work      {instance.work}  (logs in log/, kubeconfig in conf/)")
    running = state.load(instance)
    if running is None:
        left = teardown.remains(instance)
        put("cluster   down" + (f", with {len(left)} remains of a failed start" if left else ""))
        for thing in left:
            put(f"          {thing}")
        return False
    put(f"cluster   {running.nodes} node(s), API server https://{instance.api_ip}:6443")
    used = Path(running.binaries)
    for daemon in lifecycle.all_daemons(instance, count=running.nodes, binaries=used):
        pid = processes.running_pid(daemon.pid_file)
        put(f"          {daemon.name:20} {f'pid {pid}' if pid else 'DOES NOT RUN'}")
    problem = lifecycle.find_problem(instance, count=running.nodes, binaries=used)
    if not problem:
        put(Kubectl(instance, used)("get", "nodes", "--output=wide").stdout.rstrip())
    put(f"health    {problem or 'ok'}")
    return not problem


def print_log(instance: Instance, name: str | None, *, lines: int) -> None:
    """Print the end of a log (all of it with ``lines`` 0), or the names of all logs.

    Raises:
        ClusterError: there is no log of that name.
    """
    names = _log_names(instance)
    if name is None:
        for found in names:
            put(found)
        return
    if name not in names:
        raise ClusterError(
            f"There is no log {name} in {instance.log}.",
            fix=f"There are: {', '.join(names) or 'none'}.",
        )
    text = (instance.log / f"{name}.log").read_text(errors="replace").splitlines()
    for line in text[-lines:] if lines else text:
        put(line)
    say(f"({instance.log / name}.log)")


def _log_names(instance: Instance) -> Sequence[str]:
    return sorted(path.stem for path in instance.log.glob("*.log"))
