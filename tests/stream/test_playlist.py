"""The playlist of a recording, opened as players do: over HTTP, while it grows and afterwards."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest

from podstream_core.api import Recording, RecordingCodec, Stream
from podstream_workloads.agent.workload import Artefact
from podstream_workloads.stream.recording import playlist
from podstream_workloads.stream.recording.fragments import Fragment, Fragments
from podstream_workloads.stream.recording.playlist import Playlist
from podstream_workloads.stream.recording.recorder import Place, Recorder
from stream.test_recorder import NOW, record
from stream.test_recording import push
from stream.test_upload import until
from stream.test_workload import configured, figures
from stream.videos import level, open_video

SETTINGS = Recording(codec=RecordingCodec.H264, segment_seconds=3, file_name="{index}")


class Served(SimpleHTTPRequestHandler):
    """Files by the names that the router gives them, and ranges of them."""

    def __init__(self, *args: Any, recorder: Recorder, **kwargs: Any) -> None:
        self.recorder = recorder
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/stream-")
        paths = {later.name: now for later, now in self.recorder.playing.growing}
        paths |= {item.path.name: item.path for item in self.recorder.finished}
        paths |= {path.name: path for path in self.recorder.playing.files}
        data = paths[name].read_bytes()
        wanted = self.headers.get("Range")
        if wanted is None:
            self.send_response(200)
        else:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = int(last) + 1 if last else len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(data)}")
            data = data[int(first) : end]
        if name.endswith(".m3u8"):
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path) -> Recorder:
    place = Place(
        folder=tmp_path / "films", session_uid="u", session_name="cam", playlists=tmp_path / "hls"
    )
    return Recorder(SETTINGS, size=(64, 48), place=place, on_change=lambda: None, now=lambda: NOW)


@pytest.fixture
def url(made: Recorder) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Served, recorder=made))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/stream-recording.m3u8"
    server.shutdown()
    thread.join()
    server.server_close()


def levels(url: str, *, count: int | None = None) -> list[int]:
    """Mean grays of the frames that a player gets: all, or the first ones of a live playlist."""
    container: Any
    found: list[int] = []
    # FFmpeg begins three segments before the end of what is live, unless it is told to.
    options = {"live_start_index": "0"}
    with av.open(url, options=options, timeout=30) as container:
        assert container.format.name == "hls"
        for frame in container.decode(video=0):
            found.append(round(float(frame.to_ndarray(format="rgb24").mean())))
            if len(found) == count:
                break
    return found


def matches(found: list[int], numbers: range) -> bool:
    return len(found) == len(numbers) and all(
        abs(seen - level(number)) <= 8 for seen, number in zip(found, numbers, strict=True)
    )


def text_of(made: Recorder) -> str:
    return made.playing.files[0].read_text()


def test_a_recording_is_played_while_it_is_written_and_afterwards(made: Recorder, url: str) -> None:
    made.start()
    record(made, 70, fps=25)
    until(lambda: bool(made.playing.files))
    assert made.finished == ()
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text_of(made)
    assert "#EXT-X-ENDLIST" not in text_of(made)
    assert matches(levels(url, count=50), range(50))
    assert made.results().playlist == "stream-recording.m3u8"
    made.stop()
    assert made.settle(timeout_s=20)
    assert text_of(made).endswith("#EXT-X-ENDLIST\n")
    assert matches(levels(url), range(70))
    made.close(timeout_s=20)


def test_files_follow_each_other_in_one_playlist(made: Recorder, url: str) -> None:
    made.start()
    record(made, 100, fps=25)
    made.stop()
    record(made, 30, fps=25)
    made.start()
    record(made, 10, fps=25, start=500)
    assert made.close(timeout_s=20)
    assert [item.frames for item in made.finished] == [75, 25, 10]
    text = text_of(made)
    assert "#EXT-X-DISCONTINUITY" not in text
    assert text.count("#EXT-X-MAP:") == 1
    found = levels(url)
    assert matches(found[:100], range(100))
    assert matches(found[100:], range(10))
    for item in made.finished:
        assert open_video(item.path).frames == item.frames  # by themselves, from zero
        assert hashlib.sha256(item.path.read_bytes()).hexdigest() == item.sha256
    assert {path.name for path in made.playing.files} == {"recording.m3u8", "recording.m4s"}


def test_a_finished_file_still_plays_by_itself(made: Recorder) -> None:
    made.start()
    record(made, 60, fps=25)
    assert made.close(timeout_s=20)
    (file,) = made.finished
    video = open_video(file.path)
    assert video.frames == video.counted == 60
    assert made.playing.growing == []


def fragments(initial: bytes = b"init") -> Fragments:
    made = Fragments(clock=90_000)
    made.initial = initial
    return made


def test_what_has_left_the_disk_leaves_the_playlist(tmp_path: Path) -> None:
    made = Playlist(tmp_path)
    for file in ("a.mp4", "b.mp4"):
        made.add(file, fragments(), [Fragment(10, 5, 2.0), Fragment(15, 5, 3.5)], last=False)
        made.add(file, fragments(), [Fragment(20, 5, 0.5)], last=True)
    made.remove("a.mp4")
    text = made.files[0].read_text()
    assert "a.mp4" not in text
    assert "#EXT-X-MEDIA-SEQUENCE:2\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n" in text
    assert "#EXT-X-PLAYLIST-TYPE" not in text  # an event never loses a segment
    assert "#EXT-X-TARGETDURATION:6\n" in text
    assert "#EXTINF:5.500,\n#EXT-X-BYTERANGE:10@10\nstream-b.mp4\n" in text


def test_the_playlist_of_a_long_recording_is_of_its_last_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written and sent anew for each segment: of half a day it had 2.6 MB."""
    monkeypatch.setattr(playlist, "MOST_ENTRIES", 3)
    made = Playlist(tmp_path)
    for number in range(5):
        made.add("a.mp4", fragments(), [Fragment(10 * number, 5, 2.0)], last=False)
    text = made.files[0].read_text()
    assert "#EXT-X-MEDIA-SEQUENCE:2\n" in text
    ranges = [line for line in text.splitlines() if line.startswith("#EXT-X-BYTERANGE")]
    assert ranges == [f"#EXT-X-BYTERANGE:5@{offset}" for offset in (20, 30, 40)]


def test_parts_of_a_file_that_was_given_up_are_not_taken_for_the_next_one_s(tmp_path: Path) -> None:
    made = Playlist(tmp_path)
    made.add("a.mp4", fragments(), [Fragment(10, 5, 0.5)], last=False)
    made.forget()
    made.add("b.mp4", fragments(), [Fragment(40, 7, 2.0)], last=True)
    assert "#EXT-X-BYTERANGE:7@40\nstream-b.mp4\n" in made.files[0].read_text()


def test_another_initial_part_is_another_file(tmp_path: Path) -> None:
    made = Playlist(tmp_path)
    for file, initial in (("a.mp4", b"one"), ("b.mp4", b"two"), ("c.mp4", b"one")):
        made.add(file, fragments(initial), [Fragment(10, 5, 2.0)], last=True)
    text = made.files[0].read_text()
    maps = [line for line in text.splitlines() if line.startswith("#EXT-X-MAP")]
    assert maps == [f'#EXT-X-MAP:URI="stream-recording{number}.m4s"' for number in ("", "-2", "")]


@pytest.mark.parametrize(("codec", "names"), [("H264", {"recording.m3u8"}), ("XVID", set())])
async def test_the_workload_names_what_players_open(
    tmp_path: Path, codec: str, names: set[str]
) -> None:
    recording = Recording(codec=RecordingCodec(codec))
    spec = Stream(width=64, height=48, recording=recording)
    async with configured(tmp_path, spec=spec) as (workload, context):
        await push(workload, 5)
        await context.reported("lost c1")
        await workload.drain()
        artefacts: tuple[Artefact, ...] = (await workload.results()).artefacts
        live = {item.name for item in artefacts if item.is_live and item.name.endswith("m3u8")}
        assert live == names
        assert sum(not item.is_live for item in artefacts) == 1
        shown = (await figures(workload)).recording
        assert shown is not None
        assert shown.playlist == ("stream-recording.m3u8" if names else None)
