"""Restarts single daemons, for tests of a kubelet or a containerd that starts again."""

from pathlib import Path

from testcluster import daemons, lifecycle, processes, state
from testcluster.console import step
from testcluster.errors import ClusterError
from testcluster.instance import Instance


def restart(instance: Instance, name: str) -> None:
    """End a daemon (SIGTERM) and start it again; containers run on, they are their shims' children.

    Returns once the process runs; when its part of the cluster is whole again is for the caller
    to see.

    Raises:
        ClusterError: no cluster is up, or it has no such daemon.
    """
    lifecycle.require_root()
    running = state.load(instance)
    if running is None:
        raise ClusterError("No cluster is up.", fix="Run `testcluster up` first.")
    binaries = Path(running.binaries)
    known = {daemon.name: daemon for daemon in daemons.control_plane(instance, binaries)}
    for node in instance.nodes(running.nodes):
        own = daemons.node_daemons(instance, node, binaries)
        known |= {daemon.name: daemon for daemon in own}
    if name not in known:
        raise ClusterError(f"There is no daemon {name}.", fix=f"One of {', '.join(sorted(known))}.")
    with step(f"{name} runs again"):
        processes.stop(known[name].pid_file)
        processes.start(known[name])
        processes.check_alive([known[name]])
