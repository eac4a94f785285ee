"""`podstream-stream push` against a socket that counts."""

import socket
import threading
from pathlib import Path

import pytest

from podstream_workloads.stream.cli.__main__ import main

SIZE = 64 * 48 * 3


class Sink:
    """Takes everything of one connection."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.received = 0
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            while data := connection.recv(1 << 16):
                self.received += len(data)

    def join(self) -> int:
        self._thread.join(10)
        self._server.close()
        return self.received


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_pattern_is_pushed(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    target = ["--host", "127.0.0.1", "--port", str(sink.port)]
    source = ["--pattern", "--size", "64x48", "--frames", "7", "--fps", "0"]
    assert main(["push", *target, *source]) == 0
    assert sink.join() == 7 * SIZE
    assert capsys.readouterr().out == "sent 7 frames of 64x48\n"


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["push", "--host", "127.0.0.1", "--port", str(port), "--pattern"]) == 3
    assert "Check host and port" in capsys.readouterr().err


def test_no_such_file(sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "no.mp4"
    target = ["--host", "127.0.0.1", "--port", str(sink.port)]
    assert main(["push", *target, "--file", str(file)]) == 1
    assert str(file) in capsys.readouterr().err
    sink.join()


@pytest.mark.parametrize("size", ["640", "0x480", "axb", "640x480x3"])
def test_wrong_size_names_the_form(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["push", "--host", "h", "--pattern", "--size", size])
    assert ending.value.code == 2
    assert "WIDTHxHEIGHT" in capsys.readouterr().err
