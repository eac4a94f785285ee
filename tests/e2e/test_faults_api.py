"""The API server stands still for a minute: pools serve, clients come back, streams play on."""

import time

import pytest

from e2e import kube
from e2e.leftovers import births, wait_for_no_orphans
from e2e.pools import pool
from e2e.sessions import session
from e2e.test_api_outage import outage
from e2e.viewers import Viewer, assert_not_cut, assert_unshared, ball, watching, watching_pool

pytestmark = pytest.mark.long

AWAY_S = 60.0


def test_pool_serves_and_clients_come_back_while_the_api_is_away() -> None:
    """The router needs no API to assign a warm pod; the session is written down afterwards."""
    plays = {"circle": ball(), "reconnectSeconds": 120}
    with (
        pool(warm=2, max=4, template=plays) as made,
        session(plays, prefix="outage") as own,
        births(f"podstream.dev/pool={made.name}") as born,
    ):
        own.wait_phase("Ready")
        made.wait(warm=2)
        with watching_pool(made) as before, watching(own) as leaver:
            given = before.session()
            given.wait_phase("Connected")
            made.wait(warm=2, inUse=1)
            url, own_url, token = made.endpoint(), own.endpoint(), own.token()
            pod_uid = own.status["pod"]["uid"]
            digest = leaver.pod_digest()
            began = time.time()
            with outage(0):
                leaver.end()
                # Nobody has said good-bye: the slot is free when ICE consent has been missed.
                back = Viewer(own_url, token=token, patience_s=50)
                during = Viewer(url, patience_s=50)
                during.wait_for_frames(30)
                served_s = during.frames[0] - began
                back.wait_for_frames(30)
                back_s = back.frames[0] - began
                assert back.pod_digest() == digest, "the same client, the same pod"
                kube.until(lambda: time.time() - began > AWAY_S, what="a minute", timeout_s=AWAY_S)
            ended = time.time()
            late = during.session()
            kube.until(
                lambda: kube.get("strs", late.name), what="the connection's session", timeout_s=90
            )
            late.wait_phase("Connected", timeout_s=120)
            recorded_s = time.time() - ended
            made.wait(warm=2, inUse=2, timeout_s=120)
            full_s = time.time() - ended
            assert own.phase == "Connected"
            assert own.status["pod"]["uid"] == pod_uid
            assert_unshared((before, given), (during, late), (back, own))
            for viewer in (before, during, back):
                assert viewer.is_playing()
                assert_not_cut(viewer, since=viewer.frames[0])
            assert born.count == 4, "two to begin with, one for each that was taken"
            for viewer in (during, back):
                viewer.end()
    print(
        f"\nAPI away for {AWAY_S:.0f} s: back after {back_s:.1f} s, a new client served after "
        f"{served_s:.1f} s, its session recorded {recorded_s:.1f} s and the pool full "
        f"{full_s:.1f} s after the API's return"
    )
    wait_for_no_orphans()
