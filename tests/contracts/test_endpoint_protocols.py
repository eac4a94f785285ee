"""The API accepts every protocol that the operator names in `status.endpoints`."""

import re
from pathlib import Path

from contracts.crds import session_schema

SOURCE = Path(__file__).resolve().parents[2] / "operator/podstream_operator/status/endpoints.py"


def test_protocols_of_endpoints_are_allowed() -> None:
    status = session_schema()["properties"]["status"]["properties"]
    allowed = status["endpoints"]["items"]["properties"]["protocol"]["enum"]
    text = SOURCE.read_text()
    named = set(re.findall(r'protocol="(\w+)"|_http\("(\w+)"', text))
    found = {first or second for first, second in named}
    assert {"MJPEG", "TCP"} <= found
    assert found <= set(allowed)
