"""Workers: what they may not do, and what happens when one dies."""

import os
import platform
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from imageops.server import LIMITS, Images, Running, collect, noise, raw, requests, running
from imageops.test_images import SLOW, TURN, eventually
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb
from podstream_workloads.imageops.workers.seccomp import build_filter
from podstream_workloads.imageops.workers.segments import Segment, SegmentPool


@pytest.fixture(scope="module")
def own() -> Iterator[Running]:
    """A server whose workers may be killed; pictures may take 2 s of CPU time."""
    with running(replace(LIMITS, cpu_s=1.0, max_calls=8)) as found:
        yield found


def call(service: Running, picture: Any, operations: Any = (TURN,), **options: Any) -> Any:
    with service.channel() as channel:
        return collect(
            Images(channel).process(
                requests(picture.tobytes(), input=raw(picture), operations=operations, **options)
            )
        )


def test_killed_worker_costs_its_own_call_only(own: Running) -> None:
    pool = own.server.pool
    eventually(lambda: pool.free == LIMITS.workers)
    picture = noise(2000, 2000)
    failures: list[grpc.RpcError] = []

    def large() -> None:
        try:
            call(own, picture, SLOW)
        except grpc.RpcError as error:
            failures.append(error)

    thread = threading.Thread(target=large)
    thread.start()
    eventually(lambda: pool.free < LIMITS.workers)
    eventually(lambda: any(maps_segments(pid) for pid in pool.pids))
    worker = next(pid for pid in pool.pids if maps_segments(pid))
    os.kill(worker, signal.SIGKILL)
    for _ in range(5):
        assert call(own, noise(4, 4)).result.size == 48
    thread.join()
    (failure,) = failures
    assert failure.code() is grpc.StatusCode.INTERNAL
    assert "decoder limit: ended by SIGKILL" in str(failure.details())
    eventually(lambda: pool.free == LIMITS.workers)
    assert worker not in pool.pids
    assert call(own, picture).result.size == picture.nbytes


def maps_segments(pid: int) -> bool:
    """Whether a worker has a picture at hand."""
    return "memfd:podstream-image" in Path(f"/proc/{pid}/maps").read_text()


def test_cpu_time_is_bounded(own: Running) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(own, noise(3000, 2000), SLOW * 3)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "CPU time" in str(caught.value.details())
    assert own.statistics.results().rejected.failed >= 1


def test_a_worker_can_neither_open_nor_connect() -> None:
    """The filter lets nothing through that the list does not name."""
    code = build_filter(platform.machine())
    assert code is not None, "the tests run where the list has numbers"
    assert len(code) % 8 == 0
    assert build_filter("riscv64") is None


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no list of calls")
def test_workers_are_confined(own: Running) -> None:
    eventually(lambda: own.server.pool.free == LIMITS.workers)
    assert own.server.pool.is_confined
    for pid in own.server.pool.pids:
        status = Path(f"/proc/{pid}/status").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text()
        if "Seccomp:\t2" not in status:
            continue  # a spare that is still being started
        assert "NoNewPrivs:\t1" in status
        assert [line.split()[3] for line in limits.splitlines() if "Max file size" in line] == ["0"]


def test_workers_end_with_their_server() -> None:
    with running(LIMITS) as found:
        eventually(lambda: len(found.server.pool.pids) == LIMITS.workers + 1)
        pids = found.server.pool.pids
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_front_process_never_holds_a_picture(own: Running) -> None:
    """However large the upload: chunks pass through, nothing is kept (64 MiB are allowed)."""
    picture = noise(4000, 4000)
    call(own, noise(300, 300))
    process = psutil.Process()
    with own.channel() as channel:
        images = Images(channel)

        def parts() -> Iterator[pb.UploadRequest]:
            yield pb.UploadRequest(name="large", size=picture.nbytes)
            for at in range(0, picture.nbytes, 1 << 20):
                flat = picture.reshape(-1)
                yield pb.UploadRequest(offset=at, data=flat[at : at + (1 << 20)].tobytes())

        before = process.memory_info().rss
        images.upload(parts())
        grown = process.memory_info().rss - before
        images.delete_object(pb.DeleteObjectRequest(name="large"))
    assert grown < 64 << 20


class TestSegments:
    def test_a_free_segment_is_used_again(self) -> None:
        pool = SegmentPool(keep_bytes=1 << 20)
        first = pool.take(5000)
        first.write(4990, b"0123456789")
        assert first.read(4990, 100)[:10] == b"0123456789"
        pool.give(first)
        assert pool.take(100) is first
        pool.close()
        first.close()

    def test_it_grows_where_it_is_too_small(self) -> None:
        pool = SegmentPool(keep_bytes=1 << 20)
        first = pool.take(10)
        pool.give(first)
        again = pool.take(100_000)
        assert again is first
        assert again.capacity >= 100_000
        pool.give(again)
        pool.close()

    def test_not_more_is_kept_than_allowed(self) -> None:
        pool = SegmentPool(keep_bytes=10_000)
        large = pool.take(20_000)
        pool.give(large)
        with pytest.raises(OSError, match="Bad file descriptor"):
            large.read(0, 1)
        pool.close()

    def test_a_shortened_segment_reads_short(self) -> None:
        segment = Segment(10_000)
        os.ftruncate(segment.fd, 100)
        assert len(segment.read(0, 10_000)) == 100
        segment.close()
