"""A client of NLImageService as its users have it: stubs generated from the proto, host and port.

A program of its own that knows nothing of podstream: no metadata, no token, no session. It makes
its stubs with grpc_tools from the published proto, turns and filters the vector of the public
exercise, and prints both results and how it ended as JSON. `--seconds` keeps its connection.
"""

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
from grpc_tools import protoc


def stubs(proto: Path, folder: str) -> tuple[Any, Any]:
    arguments = [f"-I{proto.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *arguments, proto.name]) == 0
    sys.path.insert(0, folder)
    return importlib.import_module("image_pb2"), importlib.import_module("image_pb2_grpc")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", default="50051")
    parser.add_argument("--proto", type=Path, required=True)
    parser.add_argument("--service", default="NLImageService")
    parser.add_argument("--seconds", type=float, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pb, pb_grpc = stubs(given.proto, folder)
    prefix = "NL" if given.service.startswith("NL") else ""
    image = getattr(pb, f"{prefix}Image")(data=bytes(range(12)), width=3, height=4)
    request = getattr(pb, f"{prefix}ImageRotateRequest")
    with grpc.insecure_channel(f"{given.host}:{given.port}") as channel:
        stub = getattr(pb_grpc, f"{given.service}Stub")(channel)
        try:
            turned = stub.RotateImage(request(rotation=request.NINETY_DEG, image=image), timeout=60)
            meant = stub.MeanFilter(image, timeout=60)
        except grpc.RpcError as error:
            failed: Any = error
            print(json.dumps({"code": failed.code().name, "details": failed.details()}))
            return
        answers = {
            "code": "OK",
            "turned": [turned.width, turned.height, list(turned.data)],
            "mean": list(meant.data),
        }
        print(json.dumps(answers), flush=True)
        time.sleep(given.seconds)


if __name__ == "__main__":
    main()
