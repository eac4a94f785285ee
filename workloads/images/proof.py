"""Shows, while an image is built, that a slimmed environment still does what sessions need of it.

    python proof.py

Ends the build with the first thing that does not work. What only one image has is tried where its
package is installed.
"""

import importlib
import importlib.util
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

SIZE = 64
FRAMES = 5


def main() -> None:
    """Run every proof."""
    _import_everything()
    with tempfile.TemporaryDirectory() as folder:
        _write_and_read(Path(folder))
    _pictures()
    _faces()
    _algebra()
    if importlib.util.find_spec("onnxruntime"):
        _network()
    if importlib.util.find_spec("boto3"):
        _cloud()


def _import_everything() -> None:
    """Load the top module of every installed package."""
    names = {
        line
        for distribution in distributions()
        for line in (distribution.read_text("top_level.txt") or "").split()
        if line.isidentifier()
    }
    names |= {"google.protobuf.message", "grpc_health.v1.health", "grpc_reflection.v1alpha"}
    names |= {"obstore.exceptions", "obstore.store"}  # it names no top module
    for name in sorted(names - {"_distutils_hack", "pkg_resources"}):
        importlib.import_module(name)


def _write_and_read(folder: Path) -> None:
    """A clip by PyAV is read by OpenCV and the other way round."""
    clip = folder / "h264.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for level in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(_picture(level), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    capture = cv2.VideoCapture(str(clip))
    read = 0
    while capture.read()[0]:
        read += 1
    assert read == FRAMES, f"OpenCV read {read} of {FRAMES} frames"
    clip = folder / "mpeg4.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, (SIZE, SIZE))
    for level in range(FRAMES):
        writer.write(_picture(level))
    writer.release()
    with av.open(str(clip)) as container:
        assert len(list(container.decode(video=0))) == FRAMES
    for codec in ("libvpx", "h264", "vp8", "libopus"):
        av.codec.Codec(codec, "w" if codec.startswith("lib") else "r")


def _pictures() -> None:
    for kind in (".png", ".jpg", ".webp", ".tiff"):
        done, data = cv2.imencode(kind, _picture(3))
        assert done
        assert np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)).shape == (SIZE, SIZE, 3)


def _faces() -> None:
    cascade = str(Path(cv2.__file__).parent / "data/haarcascade_frontalface_alt2.xml")
    if hasattr(cv2, "CascadeClassifier"):  # OpenCV 4
        assert not cv2.CascadeClassifier(cascade).empty()


def _algebra() -> None:
    """Both BLAS libraries answer."""
    matrix = np.diag([4.0, 2.0])
    assert np.allclose(np.linalg.svd(matrix)[1], [4, 2])
    done, solved = cv2.solve(matrix, np.array([[4.0], [2.0]]), flags=cv2.DECOMP_SVD)
    assert done
    assert np.allclose(solved, 1)


def _network() -> None:
    runtime = importlib.import_module("onnxruntime")
    assert "CPUExecutionProvider" in runtime.get_available_providers()
    try:
        runtime.InferenceSession(b"no network", providers=["CPUExecutionProvider"])
    except runtime.capi.onnxruntime_pybind11_state.InvalidProtobuf:
        return  # the runtime has looked at it
    raise AssertionError("onnxruntime took bytes for a network")


def _cloud() -> None:
    boto3 = importlib.import_module("boto3")
    for service in ("rekognition", "sts"):
        key = {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
        client = boto3.client(service, region_name="eu-central-1", **key)
        assert client.meta.endpoint_url.startswith("https://")


def _picture(level: int) -> Any:
    return np.full((SIZE, SIZE, 3), level * 40, np.uint8)


if __name__ == "__main__":
    main()
