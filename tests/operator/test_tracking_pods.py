"""Pods of tracking sessions: their image, their volumes, and what makes them unlike others."""

from typing import Any

from fakes.values import IMAGE, make_session
from podstream_core import names
from podstream_core.api import StreamSession
from podstream_operator.resources import build_session_pod, pod_shape

AUTH = {"publicKey": {"secretName": "issuer", "key": "rsa"}, "audience": "a"}


def site(**orchestrator: Any) -> StreamSession:
    return make_session(circle=None, tracking={"orchestrator": orchestrator})


def pod(session: StreamSession) -> dict[str, Any]:
    spec: dict[str, Any] = build_session_pod(session, image=IMAGE, restarts=0)["spec"]
    return spec


def test_a_site_runs_in_its_own_image() -> None:
    (container,) = pod(site())["containers"]
    assert container["image"] == "podstream/session-tracking:1"
    (other,) = pod(make_session())["containers"]
    assert other["image"] == "podstream/session:1"
    assert pod_shape(site().spec, image=IMAGE) != pod_shape(make_session().spec, image=IMAGE)


def test_timelines_and_key_are_mounted() -> None:
    spec = pod(site(auth=AUTH, timelines={"volume": {"claimName": "site", "path": "north"}}))
    assert spec["volumes"][1:] == [
        {"name": "timelines", "persistentVolumeClaim": {"claimName": "site"}},
        {
            "name": "tracking-auth",
            "secret": {"secretName": "issuer", "items": [{"key": "rsa", "path": "public.pem"}]},
        },
    ]
    assert spec["containers"][0]["volumeMounts"][1:] == [
        {"name": "timelines", "mountPath": "/podstream/tracking/timelines"},
        {"name": "tracking-auth", "mountPath": "/podstream/tracking/auth", "readOnly": True},
    ]
    assert spec["securityContext"]["fsGroup"] == 65532


def test_a_site_with_a_database_gets_its_url_and_the_way() -> None:
    reference = {"urlSecretRef": {"name": "db", "key": "dsn"}}
    session = site(timelines={"store": "PostgreSQL", "postgresql": reference})
    body = build_session_pod(session, image=IMAGE, restarts=0)
    assert body["metadata"]["labels"]["podstream.dev/asks"] == "PostgreSQL"
    assert body["spec"]["volumes"][1:] == [
        {
            "name": "database",
            "secret": {"secretName": "db", "items": [{"key": "dsn", "path": "url"}]},
        }
    ]
    assert body["spec"]["containers"][0]["volumeMounts"][1:] == [
        {"name": "database", "mountPath": "/podstream/tracking/database", "readOnly": True}
    ]
    plain = build_session_pod(site(), image=IMAGE, restarts=0)
    assert "podstream.dev/asks" not in plain["metadata"]["labels"]


def test_a_key_may_be_in_a_config_map() -> None:
    auth = {**AUTH, "publicKey": {"configMapName": "issuer"}}
    items = [{"key": "public.pem", "path": "public.pem"}]
    assert pod(site(auth=auth))["volumes"][1] == {
        "name": "tracking-auth",
        "configMap": {"name": "issuer", "items": items},
    }


def test_settings_of_a_site_do_not_change_its_pod() -> None:
    few, many = site(maxCameras=1), site(maxCameras=200, compat=True)
    assert pod_shape(few.spec, image=IMAGE) == pod_shape(many.spec, image=IMAGE)


def reaching(**tracking: Any) -> StreamSession:
    return make_session(circle=None, tracking=tracking)


CAMERA = {
    "id": "gate",
    "siteRef": {"name": "yard"},
    "source": {"type": "File", "file": {"claimName": "films", "path": "a.mp4"}},
    "detector": {"method": "Onnx", "model": {"claimName": "models", "path": "m.onnx"}},
}


def test_a_pod_that_reaches_another_session_gets_that_one_s_token_and_the_way() -> None:
    for session, peer in (
        (reaching(camera=CAMERA), "yard"),
        (reaching(edge={"cloudRef": {"name": "cloud"}}), "cloud"),
    ):
        body = build_session_pod(session, image=IMAGE, restarts=0)
        assert body["metadata"]["labels"]["podstream.dev/dials"] == "router"
        (secret,) = [item for item in body["spec"]["volumes"] if item["name"] == "peer"]
        assert secret["secret"]["secretName"] == f"{peer}-access"
        (container,) = body["spec"]["containers"]
        assert {
            "name": "PODSTREAM_ROUTER_URL",
            "value": "http://podstream-router.streams.svc:8080",
        } in container["env"]


def test_a_camera_of_rtsp_may_reach_what_streams_may() -> None:
    source = {"type": "RTSP", "rtsp": {"url": "rtsp://camera.example/live"}}
    body = build_session_pod(reaching(camera={**CAMERA, "source": source}), image=IMAGE, restarts=0)
    labels = body["metadata"]["labels"]
    assert (labels["podstream.dev/pulls"], labels["podstream.dev/dials"]) == ("RTSP", "router")


def test_a_camera_s_film_truth_and_token_are_mounted() -> None:
    camera = {
        "id": "gate",
        "siteRef": {"name": "yard"},
        "source": {"type": "File", "file": {"configMapName": "films", "path": "a.mp4"}},
        "truth": {"claimName": "truths", "path": "a.txt"},
        "tokenSecretRef": {"name": "processor"},
    }
    volumes = pod(reaching(camera=camera))["volumes"][1:]
    assert volumes[:3] == [
        {"name": "source", "configMap": {"name": "films"}},
        {"name": "truth", "persistentVolumeClaim": {"claimName": "truths", "readOnly": True}},
        {
            "name": "token",
            "secret": {"secretName": "processor", "items": [{"key": "token", "path": "token"}]},
        },
    ]


def test_a_camera_that_a_client_feeds_waits_for_it() -> None:
    for kind in ("WHIP", "SocketIO"):
        fed = reaching(camera={**CAMERA, "source": {"type": kind}})
        assert fed.spec.needs_client
        assert fed.spec.is_published == (kind == "WHIP")


def test_files_are_mounted_read_only() -> None:
    mounts = pod(reaching(camera=CAMERA))["containers"][0]["volumeMounts"]
    assert {
        "name": "source",
        "mountPath": "/podstream/tracking/source",
        "readOnly": True,
    } in mounts
    assert {"name": "model", "mountPath": "/podstream/tracking/model", "readOnly": True} in mounts
    cloud = reaching(recognition={"gallery": {"claimName": "faces", "path": "known.npz"}})
    body = build_session_pod(cloud, image=IMAGE, restarts=0)
    assert "podstream.dev/dials" not in body["metadata"]["labels"]
    (gallery,) = body["spec"]["volumes"][1:]
    assert gallery["persistentVolumeClaim"] == {"claimName": "faces", "readOnly": True}


def test_a_cloud_with_rekognition_gets_its_credentials_and_the_way() -> None:
    rekognition = {
        "credentialsSecretRef": {"name": "aws"},
        "faces": {"claimName": "people", "path": "known"},
    }
    cloud = reaching(recognition={"method": "Rekognition", "rekognition": rekognition})
    body = build_session_pod(cloud, image=IMAGE, restarts=0)
    assert body["metadata"]["labels"]["podstream.dev/asks"] == "Rekognition"
    assert body["spec"]["volumes"][1:] == [
        {"name": "credentials", "secret": {"secretName": "aws"}},
        {"name": "faces", "persistentVolumeClaim": {"claimName": "people", "readOnly": True}},
    ]
    assert [mount["mountPath"] for mount in body["spec"]["containers"][0]["volumeMounts"][1:]] == [
        "/podstream/tracking/credentials",
        "/podstream/tracking/faces",
    ]


def test_who_answers_only_and_who_fetches_waits_for_no_client() -> None:
    cloud = reaching(recognition={"gallery": {"claimName": "faces", "path": "known.npz"}})
    assert not cloud.spec.needs_client
    assert not reaching(camera=CAMERA).spec.needs_client
    assert site().spec.needs_client


def test_a_camera_of_a_stream_needs_neither_a_site_nor_a_way_to_one() -> None:
    camera = {"id": "gate", "source": {"type": "Stream"}}
    looks: dict[str, Any] = {"stream": {"source": {"type": "WHIP"}}, "tracking": {"camera": camera}}
    pod = build_session_pod(make_session(circle=None, **looks), image=IMAGE, restarts=0)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == IMAGE.tracking_image
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["tmp"]
    assert names.LABEL_DIALS not in pod["metadata"]["labels"]
    spec = make_session(circle=None, **looks).spec
    assert spec.onlookers == ("tracking",)
    assert spec.needs_client
    assert not make_session(
        **{**looks, "stream": {"source": {"type": "Synthetic"}}}
    ).spec.needs_client
