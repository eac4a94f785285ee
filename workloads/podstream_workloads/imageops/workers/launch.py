"""The worker's only argument."""

import msgspec


class WorkerLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker is started, as JSON."""

    socket_fd: int
    """The worker's end of the SOCK_SEQPACKET pair."""
    parent_pid: int
    """The worker ends when this is no longer its parent."""
    memory_bytes: int
    """Address space that jobs may take beyond what the loaded worker has."""
    is_confined: bool = True
    """Put the worker under the list of system calls, where the machine has one."""
