"""A pod that plays is killed for its memory or evicted: its session says so, others go on."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e import kube
from e2e.leftovers import births, wait_for_no_orphans
from e2e.pools import Pool, pool
from e2e.processes import processes_of_pod
from e2e.sessions import Session, names, session
from e2e.viewers import Viewer, assert_not_cut, assert_unshared, ball, watching, watching_pool

_AMOUNTS = {"cpu": "400m", "memory": "256Mi"}
_GUARANTEED = {"resources": {"requests": _AMOUNTS, "limits": _AMOUNTS}}
"""The kernel spares processes of such a pod longest, all but one that a test exposes."""
_TAKE_MEMORY = "input(); x = b'x' * (900 << 20)"
"""Beyond the limit, when told to."""
_FILL_DISK = "open('/tmp/fill', 'wb').write(bytes(700 << 20))"
"""Beyond what a session pod may write: the kubelet evicts it when it looks next."""


def _exec(pod: str, code: str) -> "subprocess.Popen[str]":
    command = ["kubectl", "-n", kube.NAMESPACE, "exec", "-i", pod, "--", "python", "-c", code]
    return subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _run_out_of_memory(pod: dict[str, Any]) -> None:
    """Have the kernel end the agent.

    It ends the whole container where the kubelet asks for that (control groups v2), else one
    process: the one that the most speaks against.
    """
    uid = pod["metadata"]["uid"]
    before = processes_of_pod(uid)
    if not before:
        pytest.skip("the pod's processes are not visible from this machine")
    with _exec(pod["metadata"]["name"], _TAKE_MEMORY) as taker:
        kube.until(lambda: len(processes_of_pod(uid)) > len(before), what="a hungry process")
        Path(f"/proc/{before[0]}/oom_score_adj").write_text("1000")
        taker.communicate("now\n", timeout=60)


def _fill_the_disk(pod: dict[str, Any]) -> None:
    with _exec(pod["metadata"]["name"], _FILL_DISK) as filler:
        filler.communicate(timeout=60)


def _watched(viewer: Viewer) -> Session:
    made = viewer.session()
    made.wait_phase("Connected")
    return made


@pytest.mark.parametrize(
    ("end", "reason", "words"),
    [
        pytest.param(_run_out_of_memory, "OOMKilled", "memory", id="out of memory"),
        pytest.param(_fill_the_disk, "PodLost", "Evicted", id="evicted", marks=pytest.mark.long),
    ],
)
def test_pod_of_a_pools_connection_ends_and_its_neighbour_plays_on(
    end: Callable[[dict[str, Any]], None], reason: str, words: str
) -> None:
    template = {"circle": ball(), "pod": _GUARANTEED}
    with pool(warm=2, max=3, template=template) as made, births(_of(made)) as born:
        made.wait(warm=2)
        with watching_pool(made) as first, watching_pool(made) as second:
            struck, other = _watched(first), _watched(second)
            assert_unshared((first, struck), (second, other))
            made.wait(warm=1, inUse=2)
            (pod,) = struck.pods()
            began = time.time()
            end(pod)
            struck.wait_phase("Failed", timeout_s=150)
            settled_s = time.time() - began
            assert struck.status["reason"] == reason
            assert words in struck.status["message"]
            assert struck.condition("Ready")["status"] == "False"
            made.wait(warm=2, inUse=1)
            assert_not_cut(second, since=began)
            assert other.phase == "Connected"
        assert names(struck.pods()) in ([], names([pod])), "a replacement that nobody wants"
        assert {one.name for one in made.sessions()} == {struck.name, other.name}
        assert born.count == 4, "two to begin with, one for each that was taken"
    print(f"\n{reason}: Failed {settled_s:.1f} s after the pod was struck")
    wait_for_no_orphans()


@pytest.mark.long
def test_evicted_pod_is_replaced_once_where_the_session_wants_that() -> None:
    spec = {"circle": ball(), "restartPolicy": "OnPodLoss"}
    with (
        session(spec, prefix="evict") as made,
        births(f"podstream.dev/session={made.name}") as born,
    ):
        made.wait_phase("Ready")
        (pod,) = made.pods()
        with watching(made) as viewer:
            viewer.wait_for_frames(30)
            _fill_the_disk(pod)
            kube.until(
                lambda: made.status["pod"].get("restarts") == 1 and made.phase == "Ready",
                what="a replacement that is ready",
                timeout_s=150,
            )
        with watching(made) as again:
            again.wait_for_frames(30)
            assert_unshared((again, made))
        assert born.count == 2
    wait_for_no_orphans()


def _of_session(made: Session) -> str:
    return f"podstream.dev/session={made.name}"


def _of(made: Pool) -> str:
    return f"podstream.dev/pool={made.name}"
