"""Every ball is told from every other, drawn and after the encoder has had it."""

from fractions import Fraction

import av
import pytest
from av import VideoFrame

from load.balls import COUNT, ball, number_of
from podstream_workloads.circle.draw import Canvas, YuvColor


def draw(number: int) -> VideoFrame:
    wanted = ball(number)
    canvas = Canvas(
        width=160,
        height=120,
        radius=wanted["radius"],
        color=YuvColor.from_hex(wanted["color"]),
    )
    return canvas.draw(61.3, 57.8)


@pytest.mark.parametrize("number", range(COUNT))
def test_drawn_ball_is_known_by_its_picture(number: int) -> None:
    assert number_of(draw(number)) == number


def test_balls_survive_a_poor_encoder() -> None:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 120, "yuv420p"
    encoder.time_base = Fraction(1, 15)
    encoder.options = {"crf": "35", "preset": "ultrafast", "tune": "zerolatency"}
    decoder = av.CodecContext.create("h264", "r")
    seen = []
    for number in range(COUNT):
        frame = draw(number)
        frame.pts = number
        for packet in encoder.encode(frame):
            seen += [number_of(item) for item in decoder.decode(packet)]
    for packet in encoder.encode(None):
        seen += [number_of(item) for item in decoder.decode(packet)]
    seen += [number_of(item) for item in decoder.decode(None)]
    assert seen == list(range(COUNT))


def test_black_picture_shows_no_ball() -> None:
    frame = draw(0)
    plane = frame.planes[0]
    plane.update(bytes([16]) * plane.buffer_size)
    for chroma in frame.planes[1:]:
        chroma.update(bytes([128]) * chroma.buffer_size)
    assert number_of(frame) is None
