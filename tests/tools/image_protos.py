"""Makes the Python messages of the image services from `proto/`.

    python tests/tools/image_protos.py

The result is kept in the repository so that an installation needs no compiler; tests/contracts
fails where it is out of date.
"""

import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "proto"
TARGET = ROOT / "workloads" / "podstream_workloads" / "imageops" / "wire"


def generate() -> dict[str, str]:
    """Content of every generated file, by name.

    Raises:
        RuntimeError: the compiler refuses a source; it has said why.
    """
    names = sorted(path.name for path in SOURCES.glob("*.proto"))
    well_known = resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        arguments = [f"-I{SOURCES}", f"-I{well_known}", f"--python_out={folder}"]
        if protoc.main(["protoc", *arguments, f"--pyi_out={folder}", *names]) != 0:
            raise RuntimeError("protoc has failed")
        return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def main() -> int:
    """Write the files."""
    for name, content in generate().items():
        (TARGET / name).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
