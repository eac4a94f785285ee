from dataclasses import replace
from datetime import timedelta

from podstream_core.api import SessionKey
from podstream_core.ufrag import pod_digest
from podstream_router.routes import PodRoute, RouteTable, SessionRoute, listener_topic
from router.harness import EPOCH, pod_route, session_route


def table_of(*sessions: SessionRoute) -> RouteTable:
    table = RouteTable()
    for session in sessions:
        table.upsert_session(session)
    return table


def test_newest_pod_of_a_session_is_its_route() -> None:
    session = session_route()
    table = table_of(session)
    older = pod_route(session, created=EPOCH)
    newer = pod_route(session, created=EPOCH + timedelta(seconds=9))
    for pod in (newer, older):
        table.upsert_pod(pod)
    assert table.pod_for(session.uid) == newer
    table.remove_pod(newer.uid)
    assert table.pod_for(session.uid) == older


def test_pod_of_an_earlier_session_of_the_same_name_is_no_route() -> None:
    session = session_route()
    table = table_of(session)
    table.upsert_pod(pod_route(replace(session, uid="earlier")))
    assert table.pod_for(session.uid) is None


def test_pod_is_found_by_its_digest_until_it_goes() -> None:
    session = session_route()
    table, pod, gone = table_of(session), pod_route(session), list[PodRoute]()
    table.on_pod_gone = gone.append
    table.upsert_pod(pod)
    assert table.pod_by_digest(pod_digest(pod.uid)) == pod
    table.remove_pod(pod.uid)
    table.remove_pod(pod.uid)
    assert table.pod_by_digest(pod_digest(pod.uid)) is None
    assert gone == [pod]


def test_pod_with_another_address_loses_its_flows() -> None:
    session = session_route()
    table, pod, gone = table_of(session), pod_route(session), list[PodRoute]()
    table.on_pod_gone = gone.append
    table.upsert_pod(pod)
    table.upsert_pod(pod)
    assert not gone
    table.upsert_pod(replace(pod, ip="10.9.9.9"))
    assert gone == [pod]
    found = table.pod_for(session.uid)
    assert found is not None
    assert found.ip == "10.9.9.9"


def test_oldest_living_public_session_has_the_listener() -> None:
    old = session_route("old", public=True, listeners=("tv",), created=EPOCH)
    young = session_route(
        "young", public=True, listeners=("tv",), created=EPOCH + timedelta(seconds=1)
    )
    private = session_route("private", listeners=("tv",), created=EPOCH - timedelta(days=1))
    table = table_of(young, old, private)
    assert table.session_for_listener("tv") == old
    assert table.session_for_listener("tv", excluded={old.uid}) == young
    table.upsert_session(replace(old, ended="Completed"))
    assert table.session_for_listener("tv") == young
    table.remove_session(young.key)
    assert table.session_for_listener("tv") is None
    assert table.session_for_listener("radio") is None


def test_session_that_drops_a_listener_is_no_longer_found_there() -> None:
    session = session_route(public=True, listeners=("tv",))
    table = table_of(session)
    table.upsert_session(replace(session, listeners=("radio",)))
    assert table.session_for_listener("tv") is None
    assert table.session_for_listener("radio") is not None


def test_relist_replaces_one_namespace_and_no_other() -> None:
    kept = session_route("kept", key=SessionKey("other", "kept"))
    stale, fresh = session_route("stale"), session_route("fresh")
    table = table_of(kept, stale)
    gone = pod_route(stale)
    stays = pod_route(kept)
    table.upsert_pod(gone)
    table.upsert_pod(stays)

    table.replace_sessions("lab", [fresh])
    table.replace_pods("lab", [])

    assert table.session(stale.key) is None
    assert table.session(fresh.key) == fresh
    assert table.session(kept.key) == kept
    assert table.pod(gone.uid) is None
    assert table.pod(stays.uid) == stays
    table.replace_sessions(None, [])
    assert table.session_count == 0


def test_waiters_hear_of_their_topic_only() -> None:
    session = session_route(public=True, listeners=("tv",))
    table, heard = table_of(session), list[str]()
    with (
        table.subscribed(session.key, lambda: heard.append("session")),
        table.subscribed(listener_topic("tv"), lambda: heard.append("listener")),
        table.subscribed(SessionKey("lab", "other"), lambda: heard.append("other")),
    ):
        pod = pod_route(session)
        table.upsert_pod(pod)
        assert sorted(heard) == ["listener", "session"]
        heard.clear()
        table.upsert_pod(pod)
        assert not heard
        table.remove_pod(pod.uid)
        assert sorted(heard) == ["listener", "session"]
        heard.clear()
        table.remove_session(session.key)
        assert sorted(heard) == ["listener", "session"]
    table.upsert_session(session)
    assert len(heard) == 2
    assert not table._waiters


def test_listener_hears_of_a_session_that_comes_and_of_one_that_leaves_it() -> None:
    session = session_route(public=True, listeners=("tv",))
    table, heard = RouteTable(), list[int]()
    with table.subscribed(listener_topic("tv"), lambda: heard.append(1)):
        table.upsert_session(session)
        table.upsert_session(replace(session, listeners=()))
    assert len(heard) == 2


def test_table_keeps_nothing_of_what_has_gone() -> None:
    table = RouteTable()
    for number in range(20):
        session = session_route(f"s{number}", public=True, listeners=("tv",))
        table.upsert_session(session)
        pod = pod_route(session)
        table.upsert_pod(pod)
        table.remove_pod(pod.uid)
        table.remove_session(session.key)
    assert not table._by_listener
    assert not table._pods_by_session
    assert not table._pods_by_digest
