import msgspec
import pytest

from podstream_core.api import SessionKey, StreamSession


def _body(**circle: object) -> dict[str, object]:
    return {
        "metadata": {"name": "ball", "namespace": "default", "uid": "u"},
        "spec": {"circle": circle},
    }


def test_defaults_are_the_original_ball_trackers() -> None:
    circle = StreamSession.from_body(_body()).spec.circle
    assert circle is not None
    assert (circle.width, circle.height, circle.fps) == (640, 480, 30)
    assert (circle.ball.radius, circle.ball.speed) == (20, 3)


@pytest.mark.parametrize(
    ("circle", "path"),
    [
        pytest.param({"width": "wide"}, r"\$\.spec\.circle\.width", id="type"),
        pytest.param({"fps": 0}, r"\$\.spec\.circle\.fps", id="too small"),
        pytest.param({"width": 641}, r"\$\.spec\.circle\.width", id="odd"),
        pytest.param({"codec": "AV1"}, r"\$\.spec\.circle\.codec", id="unknown codec"),
        pytest.param(
            {"ball": {"color": "green"}}, r"\$\.spec\.circle\.ball\.color", id="no hex colour"
        ),
    ],
)
def test_bad_members_are_named_with_their_path(circle: dict[str, object], path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path):
        StreamSession.from_body(_body(**circle))


def test_members_of_a_newer_crd_are_ignored() -> None:
    assert StreamSession.from_body(_body(hologram=True)).spec.workloads == ("circle",)


def test_unset_members_do_not_reach_the_wire() -> None:
    body = StreamSession.from_body(_body()).to_body()
    assert "color" not in body["spec"]["circle"]["ball"]
    assert StreamSession.from_body(body).to_body() == body


@pytest.mark.parametrize("text", ["", "a", "/a", "a/", "a/b/c", "A/b", "a/b_c"])
def test_only_namespace_and_name_make_a_key(text: str) -> None:
    with pytest.raises(ValueError, match="is not namespace/name"):
        SessionKey.parse(text)


def test_a_key_reads_back() -> None:
    key = SessionKey("default", "ball-1")
    assert SessionKey.parse(str(key)) == key
