"""Small calls before large transfers, which are never stopped."""

import threading
import time

import pytest

from imageops.server import Images, collect, noise, raw, requests, running
from podstream_workloads.imageops.service import precedence
from podstream_workloads.imageops.service.precedence import SMALL_BYTES, Precedence
from podstream_workloads.imageops.wire import podstream_image_v1_pb2 as pb

LONG_S = 30.0


def waits(made: Precedence) -> threading.Thread:
    """A transfer that has come to its next chunk."""
    thread = threading.Thread(target=made.give_way)
    thread.start()
    return thread


def test_a_transfer_waits_for_the_last_small_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "PAUSE_S", LONG_S)
    made = Precedence()
    with made.call(10):
        with made.call(SMALL_BYTES):
            transfer = waits(made)
        transfer.join(0.05)
        assert transfer.is_alive()
    transfer.join(LONG_S / 2)
    assert not transfer.is_alive()


def test_a_pause_is_short_whatever_the_small_calls_do() -> None:
    made = Precedence()
    with made.call(10):
        begun = time.monotonic()
        made.give_way()
        assert time.monotonic() - begun >= precedence.PAUSE_S * 0.9
    # No bound from above: the machine may be busy. It has returned, with the call still there.


@pytest.mark.parametrize("sizes", [[], [SMALL_BYTES + 1]], ids=["none", "another-transfer"])
def test_transfers_do_not_wait_for_each_other(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precedence, "PAUSE_S", LONG_S)
    made = Precedence()
    with made.call(sizes[0] if sizes else SMALL_BYTES + 1):
        transfer = waits(made)
        transfer.join(LONG_S / 2)
        assert not transfer.is_alive()


def test_a_failed_small_call_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "PAUSE_S", LONG_S)
    made = Precedence()
    with pytest.raises(ValueError, match="broken"), made.call(1):
        raise ValueError("broken")
    transfer = waits(made)
    transfer.join(LONG_S / 2)
    assert not transfer.is_alive()


def test_a_transfer_beside_small_calls_comes_through() -> None:
    large, small = noise(3000, 2000), noise(8, 8)
    turn = [pb.Operation(turn=pb.Turn(quarters=1))]
    stop = threading.Event()
    with running() as service, service.channel() as channel:
        images = Images(channel)

        def calls() -> None:
            while not stop.is_set():
                collect(images.process(requests(small.tobytes(), input=raw(small))))

        thread = threading.Thread(target=calls)
        thread.start()
        try:
            data = large.tobytes()
            call = requests(data, chunk=1 << 20, input=raw(large), operations=turn)
            assert collect(images.process(call, timeout=60)).result.size == len(data)
        finally:
            stop.set()
            thread.join()
