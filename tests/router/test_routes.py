from dataclasses import replace
from datetime import timedelta

from podstream_core.api import PoolKey, SessionKey
from podstream_core.assignment import AssignedPod
from podstream_core.ufrag import pod_digest
from podstream_router.routes import (
    PodRoute,
    RouteTable,
    SessionRoute,
    listener_topic,
    pool_topic,
)
from router.harness import EPOCH, idle_pod, pod_route, pool_route, session_route


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
    assert table.pod_for(session) == newer
    table.remove_pod(newer.uid)
    assert table.pod_for(session) == older


def test_pod_of_an_earlier_session_of_the_same_name_is_no_route() -> None:
    session = session_route()
    table = table_of(session)
    table.upsert_pod(pod_route(replace(session, uid="earlier")))
    assert table.pod_for(session) is None


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
    found = table.pod_for(session)
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
    assert not table._sessions._by_listener
    assert not table._sessions._by_subject
    assert not table._pods._by_owner
    assert not table._pods._by_digest


def test_adopted_pod_keeps_its_flows_and_answers_for_its_session() -> None:
    pool, table, gone = pool_route(), RouteTable(), list[PodRoute]()
    table.on_pod_gone = gone.append
    pod = idle_pod(pool)
    session = session_route(
        "media-1", pool="media", assigned=AssignedPod("id-1", pod.name, pod.uid)
    )
    table.upsert_pool(pool)
    table.upsert_pod(pod)
    assert table.pod_for(session) == pod, "assigned and not adopted yet"

    table.upsert_session(session)
    adopted = replace(pod, owner_uid=session.uid, session=session.key)
    table.upsert_pod(adopted)
    table.replace_pods("lab", [adopted])

    assert table.pod_for(session) == adopted
    assert table.pod_by_digest(pod_digest(pod.uid)) == adopted
    assert not gone


def test_pod_that_stops_running_loses_its_flows_and_still_counts() -> None:
    pool, table, gone = pool_route(), RouteTable(), list[PodRoute]()
    table.on_pod_gone = gone.append
    pod = idle_pod(pool)
    table.upsert_pod(pod)
    table.upsert_pod(replace(pod, running=False, ready=False))
    assert gone == [pod]
    assert table.pod(pod.uid) is None
    assert table.pod_count == 0
    assert [item.uid for item in table.pods_of_pool(pool.key)] == [pod.uid]
    table.remove_pod(pod.uid)
    assert gone == [pod]


def test_annotation_opens_no_pod_of_another_session_or_namespace() -> None:
    table, pod = RouteTable(), idle_pod(pool_route())
    table.upsert_pod(replace(pod, owner_uid="theirs", session=SessionKey("lab", "theirs")))
    assigned = AssignedPod("id-1", pod.name, pod.uid)
    assert table.pod_for(session_route("mine", assigned=assigned)) is None
    table.upsert_pod(pod)
    elsewhere = session_route(key=SessionKey("other", "mine"), assigned=assigned)
    assert table.pod_for(elsewhere) is None


def test_replacement_pod_belongs_to_its_session_and_not_to_the_annotation() -> None:
    table, first = RouteTable(), idle_pod(pool_route())
    session = session_route(assigned=AssignedPod("id-1", first.name, first.uid))
    second = pod_route(session)
    table.upsert_pod(second)
    assert table.pod_for(session) == second
    assert session.assignment_id(second.uid) == session.uid


def test_provisional_session_gives_way_to_the_watch() -> None:
    table, pod = RouteTable(), idle_pod(pool_route())
    assigned = AssignedPod("id-1", pod.name, pod.uid)
    provisional = session_route(
        "media-1", uid="id-1", pool="media", assigned=assigned, client_address="192.0.2.7"
    )
    table.add_provisional(provisional)
    table.replace_sessions("lab", [])
    assert table.session(provisional.key) == provisional, "a relist does not know it yet"
    assert table.session_by_subject("id-1") == provisional
    assert table.session_count == 0

    real = replace(provisional, uid="u1", client_address="")
    table.upsert_session(real)
    found = table.session_by_subject("id-1")
    assert found is not None
    assert (found.uid, found.client_address) == ("u1", "192.0.2.7")
    assert table.session_by_subject("u1") == found
    assert len(table.sessions_of_pool(PoolKey("lab", "media"))) == 1
    table.remove_provisional(provisional.key)
    assert table.session(provisional.key) == found
    table.remove_session(real.key)
    assert table.session(provisional.key) is None
    assert table.session_by_subject("id-1") is None


def test_provisional_session_goes_with_its_pod() -> None:
    table, pod = RouteTable(), idle_pod(pool_route())
    table.upsert_pod(pod)
    session = session_route("media-1", assigned=AssignedPod("id-1", pod.name, pod.uid))
    table.add_provisional(session)
    table.remove_pod(pod.uid)
    assert table.session(session.key) is None


def test_oldest_living_public_pool_has_the_listener() -> None:
    table = RouteTable()
    old = pool_route("old", listeners=("tv",))
    young = pool_route("young", listeners=("tv",), created=EPOCH + timedelta(seconds=1))
    private = pool_route("private", listeners=("tv",), public=False, created=EPOCH - timedelta(1))
    table.replace_pools("lab", [young, old, private])
    assert table.pool_for_listener("tv") == old
    table.upsert_pool(replace(old, ended="the pool is being deleted"))
    assert table.pool_for_listener("tv") == young
    table.replace_pools("lab", [private])
    assert table.pool_for_listener("tv") is None
    assert table.pool_count == 1


def test_waiters_of_a_pool_hear_of_its_pods_sessions_and_listeners() -> None:
    pool, table, heard = pool_route(listeners=("tv",)), RouteTable(), list[str]()
    pod = idle_pod(pool)
    session = session_route("media-1", pool="media")
    with (
        table.subscribed(pool_topic(pool.key), lambda: heard.append("pool")),
        table.subscribed(listener_topic("tv"), lambda: heard.append("listener")),
    ):
        table.upsert_pool(pool)
        assert sorted(heard) == ["listener", "pool"]
        heard.clear()
        table.upsert_pod(pod)
        table.upsert_session(session)
        table.upsert_pod(replace(pod, owner_uid=session.uid, session=session.key))
        table.remove_pod(pod.uid)
        table.remove_session(session.key)
        assert heard == ["pool"] * 5
        heard.clear()
        table.remove_pool(pool.key)
        assert sorted(heard) == ["listener", "pool"]
