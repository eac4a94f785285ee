"""`status.endpoints` names the ways that the workloads speak, and no others."""

from dataclasses import replace
from typing import Any

import pytest

from fakes.values import SITE, make_session
from podstream_core.api import StreamPool
from podstream_operator.status.endpoints import endpoints_of, pool_endpoints

WITH_GRPC = replace(SITE, grpc_address="h:50051", grpc_cluster_address="r:50051")
PICTURES: dict[str, Any] = {"circle": None, "imageOps": {}}


def make_pool(*listeners: str, **workloads: Any) -> StreamPool:
    template = {"spec": {**workloads, "access": {"mode": "Public"}}}
    return StreamPool.from_body(
        {
            "metadata": {"name": "p", "namespace": "media", "uid": "u", "generation": 1},
            "spec": {"template": template, "listeners": list(listeners)},
        }
    )


@pytest.mark.parametrize(
    ("spec", "urls"),
    [
        pytest.param({}, ["http://127.0.0.1:8080/s/media/ball/whep"], id="circle"),
        pytest.param(
            {"circle": {"source": "Upload"}},
            ["http://127.0.0.1:8080/s/media/ball/whip"],
            id="upload",
        ),
        pytest.param(
            {"circle": None, "stream": {"source": {"type": "WHIP"}, "maxViewers": 0}},
            ["http://127.0.0.1:8080/s/media/ball/whip"],
            id="published-stream",
        ),
        pytest.param(
            {
                "circle": None,
                "tracking": {
                    "camera": {"id": "c", "siteRef": {"name": "y"}, "source": {"type": "WHIP"}}
                },
            },
            ["http://127.0.0.1:8080/s/media/ball/whip", "http://127.0.0.1:8080/s/media/ball/"],
            id="published-camera",
        ),
        pytest.param(
            {"circle": {"source": "Stream"}, "stream": {"source": {"type": "WHIP"}}},
            [
                "http://127.0.0.1:8080/s/media/ball/whip",
                "http://127.0.0.1:8080/s/media/ball/mjpeg",
                "http://127.0.0.1:8080/s/media/ball/whep",
            ],
            id="a-stream-that-circle-looks-at",
        ),
        pytest.param(
            {"circle": {"source": "Stream"}, "stream": {"maxViewers": 0}},
            [],
            id="a-pushed-stream-that-circle-looks-at",
        ),
        pytest.param(PICTURES, ["grpc://h:50051"], id="pictures"),
        pytest.param({**PICTURES, "listeners": ["grpc"]}, ["grpc://h:50051"], id="listener"),
        pytest.param(
            {"imageOps": {}},
            ["http://127.0.0.1:8080/s/media/ball/whep", "grpc://h:50051"],
            id="both",
        ),
    ],
)
def test_a_session_is_reached_as_its_workloads_speak(spec: dict[str, Any], urls: list[str]) -> None:
    found = endpoints_of(make_session(**spec), site=WITH_GRPC)
    assert [item.url for item in found] == urls


@pytest.mark.parametrize(
    ("viewers", "protocols"), [(1, ["TCP", "MJPEG", "WHEP"]), (0, ["TCP"])], ids=["viewers", "none"]
)
def test_a_stream_is_pushed_by_tcp_and_looked_at_by_http(
    viewers: int, protocols: list[str]
) -> None:
    site = replace(SITE, frames_address="h:953", frames_cluster_address="r:953")
    made = make_session(circle=None, stream={"maxViewers": viewers}, listeners=["frames"])
    found = endpoints_of(made, site=site)
    assert [item.protocol for item in found] == protocols
    if viewers:
        assert found[1].url == "http://127.0.0.1:8080/s/media/ball/mjpeg"
        assert found[2].url == "http://127.0.0.1:8080/s/media/ball/whep"


def test_without_a_grpc_listener_no_address_is_promised() -> None:
    assert endpoints_of(make_session(**PICTURES), site=SITE) == []


def test_a_pool_is_reached_by_grpc_through_a_listener_only() -> None:
    """Calls can name a session, but no pool."""
    assert pool_endpoints(make_pool(imageOps={}), site=WITH_GRPC) == []
    (found,) = pool_endpoints(make_pool("grpc", imageOps={}), site=WITH_GRPC)
    assert (found.protocol, found.cluster_url) == ("gRPC", "grpc://r:50051")
