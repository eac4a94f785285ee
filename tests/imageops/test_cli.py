"""`podstream-image`: files in, files out, one exit code per kind of failure."""

import hashlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest

from imageops import hostile
from imageops.server import LIMITS, Images, Running, noise
from imageops.test_images import upload
from podstream_workloads.imageops.cli import options
from podstream_workloads.imageops.cli.__main__ import main
from podstream_workloads.imageops.cli.errors import Exit, of_rpc
from podstream_workloads.imageops.cli.images import LocalPicture
from podstream_workloads.imageops.cli.options import ClientOptions, ProgressStyle, Service, parse
from podstream_workloads.imageops.cli.progress import Progress
from podstream_workloads.imageops.operations.blur import mean
from podstream_workloads.imageops.operations.values import Mean


@pytest.fixture
def at(service: Running) -> list[str]:
    """Flags that lead to the server."""
    host, port = service.address.split(":")
    return ["--host", host, "--port", port]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), cv2.cvtColor(noise(30, 20), cv2.COLOR_RGB2BGR))
    return path


def read(path: Path) -> Any:
    """Values as they lie in a file; colours as RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def expected(picture: Any, quarters: int, *, is_filtered: bool) -> Any:
    turned = np.ascontiguousarray(np.rot90(picture, quarters))
    return mean(turned, Mean()) if is_filtered else turned


class TestCompatibleService:
    @pytest.mark.parametrize("quarters", range(4))
    @pytest.mark.parametrize("is_filtered", [False, True])
    @pytest.mark.parametrize("service_name", ["NLImageService", "ImageService"])
    def test_rotate_and_mean(
        self,
        at: list[str],
        photo: Path,
        tmp_path: Path,
        *,
        quarters: int,
        is_filtered: bool,
        service_name: str,
    ) -> None:
        target = tmp_path / "out.png"
        flags = ["--rotate", options.ROTATIONS[quarters], *(["--mean"] if is_filtered else [])]
        flags += ["--service", service_name, "--input", str(photo), "--output", str(target)]
        assert main([*at, *flags]) == Exit.DONE
        assert np.array_equal(
            read(target), expected(noise(30, 20), quarters, is_filtered=is_filtered)
        )

    @pytest.mark.parametrize(
        ("flags", "name"),
        [
            ([], "photo.png"),
            (["--mean"], "photo_Meaned.png"),
            (["--rotate", "ninety_deg"], "photo_rot90.png"),
            (["--mean", "--rotate", "TWO_SEVENTY_DEG"], "photo_Meaned_rot270.png"),
        ],
    )
    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_folder_takes_a_telling_name(
        self,
        at: list[str],
        photo: Path,
        tmp_path: Path,
        *,
        flags: list[str],
        name: str,
        is_there: bool,
    ) -> None:
        folder = tmp_path / "results"
        if is_there:
            folder.mkdir()
        output = str(folder) if is_there else f"{folder}/"
        assert main([*at, *flags, "--input", str(photo), "--output", output]) == Exit.DONE
        assert [path.name for path in folder.iterdir()] == [name]

    @pytest.mark.parametrize(
        ("kind", "channels"),
        [("gray", 1), ("alpha", 3), ("deep", 3), ("deep-gray", 1), ("palette", 3), ("jpeg", 3)],
    )
    def test_kinds_of_files_are_sent_as_gray_or_rgb(
        self, at: list[str], tmp_path: Path, kind: str, channels: int
    ) -> None:
        source, truth = make_file(tmp_path, kind)
        target = tmp_path / "out.png"
        flags = ["--rotate", "ONE_EIGHTY_DEG", "--input", str(source), "--output", str(target)]
        assert main([*at, *flags]) == Exit.DONE
        assert np.array_equal(read(target), np.rot90(truth, 2))
        assert (1 if truth.ndim == 2 else truth.shape[2]) == channels

    def test_the_original_defaults_hold(self) -> None:
        found = parse(["--input", "a.png", "--output", "b.png"], environment={})
        assert isinstance(found, ClientOptions)
        assert found.target.address == "localhost:50051"
        assert (found.service, found.rotation, found.mean) == (Service.NL, 0, False)

    def test_a_picture_above_the_limit_is_refused_with_the_way_out(
        self, at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = tmp_path / "large.png"
        cv2.imwrite(str(source), np.zeros((3000, 4000, 3), np.uint8))
        flags = ["--mean", "--input", str(source), "--output", str(tmp_path / "o.png")]
        assert main([*at, *flags]) == Exit.EXHAUSTED
        assert "RESOURCE_EXHAUSTED" in capsys.readouterr().err


def make_file(folder: Path, kind: str) -> tuple[Path, Any]:
    """A file of a kind, and the values that a client must send."""
    picture = noise(12, 9)
    path = folder / f"{kind}.png"
    if kind == "gray":
        picture = noise(12, 9, colour=False)
        cv2.imwrite(str(path), picture)
    elif kind == "alpha":
        cv2.imwrite(str(path), np.dstack([picture[:, :, ::-1], noise(12, 9, colour=False)]))
    elif kind in ("deep", "deep-gray"):
        picture = picture if kind == "deep" else noise(12, 9, colour=False)
        deep = picture.astype(np.uint16) * 256 + 17
        cv2.imwrite(str(path), deep if deep.ndim == 2 else deep[:, :, ::-1])
    elif kind == "palette":
        path = path.with_suffix(".gif")
        cv2.imwrite(str(path), (picture // 64 * 64)[:, :, ::-1])
        picture = read(path)
    else:
        path = path.with_suffix(".jpg")
        cv2.imwrite(str(path), picture[:, :, ::-1])
        picture = read(path)
    return path, picture


class TestImages:
    def test_a_chain_of_every_operation(self, at: list[str], photo: Path, tmp_path: Path) -> None:
        target = tmp_path / "out.webp"
        chain = (
            "turn=1,rotate=10.5:cubic,mean,mean=5:reflect101,mean=5x3,gaussian=1.5:replicate,"
            "resize=40x0:lanczos,crop=20x10+3+4,flip=hv,convert=hsv,convert=rgb,gray"
        )
        flags = ["--apply", chain, "--lossless", "--input", str(photo), "--output", str(target)]
        assert main([*at, *flags]) == Exit.DONE
        assert read(target).shape[:2] == (10, 20)

    def test_rotate_and_mean_come_first(self, at: list[str], photo: Path, tmp_path: Path) -> None:
        flags = ["--rotate", "NINETY_DEG", "--mean", "--apply", "crop=5x5+0+0"]
        target = tmp_path / "made"
        assert main([*at, *flags, "--input", str(photo), "--output", f"{target}/"]) == Exit.DONE
        (result,) = target.iterdir()
        assert result.name == "photo_Meaned_rot90_crop.png"
        truth = expected(noise(30, 20), 1, is_filtered=True)[:5, :5]
        assert np.array_equal(read(result), truth)

    @pytest.mark.parametrize(
        ("flags", "code", "words"),
        [
            (["--apply", "crop=50x50+0+0"], Exit.REFUSED, "INVALID_ARGUMENT"),
            (["--apply", "resize=20000x20000"], Exit.EXHAUSTED, "would give"),
        ],
    )
    def test_refusals_leave_no_file(
        self,
        at: list[str],
        photo: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        *,
        flags: list[str],
        code: Exit,
        words: str,
    ) -> None:
        folder = tmp_path / "made"
        arguments = [*at, *flags, "--input", str(photo), "--output", f"{folder}/"]
        assert main(arguments) == code
        assert words in capsys.readouterr().err
        assert list(folder.iterdir()) == []

    def test_no_picture(
        self, at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = tmp_path / "page.png"
        page.write_text("<html></html>")
        for flags, code in ((["--apply", "gray"], Exit.REFUSED), ([], Exit.FILES)):
            arguments = [*at, *flags, "--input", str(page), "--output", str(tmp_path / "o.png")]
            assert main(arguments) == code
        assert "--input" in capsys.readouterr().err


class TestKeptUploads:
    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        path = tmp_path / "large.png"
        cv2.imwrite(str(path), noise(1500, 1000)[:, :, ::-1])
        return path

    @pytest.fixture
    def images(self, service: Running) -> Iterator[Images]:
        with service.channel() as channel:
            yield Images(channel)

    def flags(self, source: Path, name: str = "scan") -> list[str]:
        target = source.with_name("out.png")
        flags = ["--name", name, "--apply", "turn=2", "--progress", "lines"]
        return [*flags, "--input", str(source), "--output", str(target)]

    def test_what_the_server_has_is_not_sent_again(
        self,
        service: Running,
        images: Images,
        at: list[str],
        large: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        data = large.read_bytes()
        begun = int(len(data) * 0.99)
        upload(images, "scan", data, end=begun)
        assert main([*at, *self.flags(large)]) == Exit.DONE
        shown = capsys.readouterr().err
        assert f"continuing at {begun} of {len(data)} bytes" in shown
        first = re.search(r"upload (\d+) of", shown)
        assert first is not None
        assert int(first[1]) > begun
        assert np.array_equal(read(large.with_name("out.png")), np.rot90(noise(1500, 1000), 2))
        assert service.free_memory() == LIMITS.memory_bytes  # both objects are gone

    def test_the_name_of_another_picture_is_refused(
        self, images: Images, at: list[str], large: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        other = bytes(len(large.read_bytes()))
        for end in (len(other), 1000):  # whole, and begun only
            upload(images, "scan", other, end=end, finish=end == len(other))
            assert main([*at, *self.flags(large)]) == Exit.REFUSED
            assert "belongs to another picture" in capsys.readouterr().err
            assert main([*at, *self.flags(large), "--restart"]) == Exit.DONE

    def test_a_lost_connection_is_tried_again(self, large: Path) -> None:
        picture = LocalPicture(large)
        assert picture.sha256 == hashlib.sha256(large.read_bytes()).digest()
        assert b"".join(data for _, data in picture.chunks(5)) == large.read_bytes()[5:]


class TestUsage:
    @pytest.mark.parametrize(
        "flags",
        [
            ["--rotate", "SIDEWAYS"],
            ["--apply", "melt"],
            ["--apply", "crop=1"],
            ["--apply", "mean=5:wrong"],
            ["--apply", "turn=99999999999"],
            ["--service", "NLImageService", "--apply", "gray"],
            ["--restart"],
            ["--port", "99999"],
            ["--session", "no-slash"],
            ["--token-file", "/does/not/exist"],
            ["--timeout", "0"],
        ],
    )
    def test_wrong_usage_ends_with_2_and_says_why(
        self, flags: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["--input", "a.png", "--output", "b.png", *flags])
        assert caught.value.code == Exit.USAGE
        assert "error: " in capsys.readouterr().err

    def test_an_unknown_ending_is_wrong_usage(self, photo: Path) -> None:
        assert main(["--input", str(photo), "--output", "result.txt"]) == Exit.USAGE

    @pytest.mark.parametrize("flags", [[], ["--apply", "gray"]])
    def test_a_file_that_is_not_there(self, tmp_path: Path, flags: list[str]) -> None:
        arguments = ["--input", str(tmp_path / "a.png"), "--output", "b.png", *flags]
        assert main(arguments) == Exit.FILES

    def test_a_folder_that_cannot_be_written(
        self, at: list[str], photo: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        output = str(tmp_path / "file" / "out.png")
        assert main([*at, "--input", str(photo), "--output", output]) == Exit.FILES

    def test_nobody_listens(self, photo: Path, tmp_path: Path) -> None:
        arguments = ["--host", "127.0.0.1", "--port", "1", "--input", str(photo)]
        assert main([*arguments, "--output", str(tmp_path / "o.png")]) == Exit.UNREACHABLE

    def test_token_and_session_go_with_each_call(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("secret\n")
        flags = ["--input", "a.png", "--output", "b.png", "--session", "media/pictures"]
        for extra, environment in (
            (["--token-file", str(token)], {}),
            ([], {"PODSTREAM_IMAGE_TOKEN": "secret"}),
        ):
            found = parse([*flags, *extra], environment=environment)
            assert isinstance(found, ClientOptions)
            assert found.target.metadata == (
                ("podstream-session", "media/pictures"),
                ("authorization", "Bearer secret"),
            )

    def test_tls_by_the_systems_certificates_or_by_given_ones(self, tmp_path: Path) -> None:
        roots = tmp_path / "ca.pem"
        roots.write_bytes(b"PEM")
        flags = ["--input", "a.png", "--output", "b.png"]
        cases: list[tuple[list[str], bool, bytes | None]] = [
            ([], False, None),
            (["--tls"], True, None),
            (["--ca", str(roots)], True, b"PEM"),
        ]
        for extra, tls, wanted in cases:
            found = parse([*flags, *extra], environment={})
            assert isinstance(found, ClientOptions)
            assert (found.target.tls, found.target.roots) == (tls, wanted)
        with pytest.raises(SystemExit):
            main([*flags, "--ca", str(tmp_path / "none.pem")])

    @pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
    def test_the_examples_of_help_are_right(
        self, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == Exit.DONE
        text = capsys.readouterr().out.replace("\\\n", "")
        examples = re.findall(r"^  podstream-image (.*)$", text, re.MULTILINE)
        assert examples
        token = tmp_path / "token"
        token.write_text("t")
        for example in examples:
            words = [str(token) if word == "token" else word for word in shlex.split(example)]
            parse(words, environment={})  # exits where it is wrong

    def test_every_exit_code_stands_in_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--help"])
        codes = " ".join(capsys.readouterr().out.split()).split("exit codes: ")[1]
        assert [int(code) for code in re.findall(r"(?:^|; )(\d+) ", codes)] == list(Exit)


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_every_status_has_an_exit_code(status: grpc.StatusCode) -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return status

        def details(self) -> str:
            return "why"

    found = of_rpc(Failed())
    assert found.code in set(Exit) - {Exit.DONE, Exit.USAGE, Exit.FILES, Exit.INTERRUPTED}
    assert str(found).startswith(f"{status.name}: why")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestProgress:
    def test_a_bar_for_large_pictures_on_a_terminal(self) -> None:
        out = Terminal()
        progress = Progress(
            ProgressStyle.AUTO, total=20_000_000, out=out, now=iter(range(9)).__next__
        )
        progress.update("upload", 5_000_000, 20_000_000)
        progress.update("upload", 20_000_000, 20_000_000)
        progress.update("working", 1, 3)
        progress.end()
        shown = out.getvalue()
        assert "upload    [#######.......................]  25 %  5.0 of 20.0 MB" in shown
        assert "100 %  20.0 of 20.0 MB  15 MB/s" in shown
        assert "1 of 3 operations" in shown
        assert shown.endswith("\n")

    @pytest.mark.parametrize(
        ("out", "total"), [(io.StringIO(), 20_000_000), (Terminal(), 1000)], ids=["pipe", "small"]
    )
    def test_nothing_otherwise(self, out: io.StringIO, total: int) -> None:
        progress = Progress(ProgressStyle.AUTO, total=total, out=out)
        progress.update("upload", total, total)
        progress.end()
        assert out.getvalue() == ""


def test_serve_serves_until_it_is_told_to_end(photo: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "podstream_workloads.imageops.cli"]
    with subprocess.Popen(
        [*command, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            found = re.search(r"serving on localhost:(\d+)", line)
            assert found is not None, line
            arguments = ["--port", found[1], "--input", str(photo), "--mean"]
            assert main([*arguments, "--output", str(tmp_path / "o.png")]) == Exit.DONE
            taken = subprocess.run(
                [*command, "serve", "--port", found[1]],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert (taken.returncode, taken.stdout) == (Exit.FILES, "")
            assert "cannot serve on localhost port" in taken.stderr
            packed = zlib.compress(bytes(12 * (1 + 3 * 20)))
            damaged = tmp_path / "damaged.png"
            damaged.write_bytes(hostile.png(20, 12, data=packed[:-8] + bytes(8)))
            arguments = ["--port", found[1], "--input", str(damaged), "--apply", "gray"]
            assert main([*arguments, "--output", str(tmp_path / "o.png")]) == Exit.REFUSED
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=20)
        finally:
            server.kill()
    assert server.returncode == 0
    assert '"calls": 1' in out
    assert '"mean": 1' in out
    assert "libpng" not in err, "what decoders print would let anybody fill the log"
