"""What leaves an image's environment, and what stays where an assumption does not hold."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SLIM = Path(__file__).parents[2] / "workloads/images/slim.py"
NEEDED = {
    "cv2.abi3.so": ["libavcodec-aa.so.62.1", "libblas-aa.so", "libc.so.6"],
    "libavcodec-bb.so.62.1": ["libx264-bb.so.165"],
}
"""By file name, as a linker would read it; links are read through."""


@pytest.fixture
def slim(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("slim", SLIM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_needed", lambda path: NEEDED.get(path.resolve().name, []))
    return module


def site(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


LIBRARIES = (
    "cv2/cv2.abi3.so",
    "opencv_python_headless.libs/libavcodec-aa.so.62.1",
    "opencv_python_headless.libs/libblas-aa.so",
    "opencv_python_headless.libs/libssl-aa.so.3",
    "av.libs/libx264-bb.so.165",
)


def test_opencv_shares_an_ffmpeg_of_the_same_version(slim: ModuleType, tmp_path: Path) -> None:
    folder = site(tmp_path, *LIBRARIES, "av.libs/libavcodec-bb.so.62.1")
    for _ in range(2):  # repeating it changes nothing
        slim._share_ffmpeg(folder)
        theirs = folder / "opencv_python_headless.libs"
        assert {path.name for path in theirs.iterdir()} == {
            "libavcodec-aa.so.62.1",
            "libblas-aa.so",
            "libx264-bb.so.165",
        }
        assert (theirs / "libavcodec-aa.so.62.1").read_text() == "av.libs/libavcodec-bb.so.62.1"


def test_another_version_is_left_to_itself(slim: ModuleType, tmp_path: Path) -> None:
    folder = site(tmp_path, *LIBRARIES, "av.libs/libavcodec-bb.so.62.2")
    slim._share_ffmpeg(folder)
    theirs = folder / "opencv_python_headless.libs"
    assert not any(path.is_symlink() for path in theirs.iterdir())
    assert (theirs / "libssl-aa.so.3").exists()


def test_services_and_cascades_that_are_used_stay(slim: ModuleType, tmp_path: Path) -> None:
    kept = [
        "botocore/data/endpoints.json",
        "botocore/data/rekognition/service-2.json",
        "botocore/data/sts/service-2.json",
        "cv2/data/haarcascade_frontalface_alt2.xml",
        "numpy/__init__.py",
    ]
    gone = [
        "botocore/data/ec2/service-2.json",
        "cv2/data/haarcascade_eye.xml",
        "numpy/lib/tests/test_io.py",
        "onnxruntime/transformers/optimizer.py",
    ]
    folder = site(tmp_path, *kept, *gone)
    for path in slim._unused(folder):
        slim._remove(path)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == kept


@pytest.mark.parametrize(("linked", "stays"), [(True, True), (False, False)])
def test_the_second_onnxruntime_goes_unless_python_needs_it(
    slim: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool, stays: bool
) -> None:
    module = "onnxruntime_pybind11_state.so"
    monkeypatch.setitem(NEEDED, module, ["libonnxruntime.so.1"] if linked else [])
    library = "onnxruntime/capi/libonnxruntime.so.1.2"
    folder = site(tmp_path, f"onnxruntime/capi/{module}", library)
    slim._drop_second_onnxruntime(folder)
    assert (folder / library).exists() is stays
