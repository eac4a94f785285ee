"""RTSP URLs that lead to no server: the CRD's pattern cannot tell them all."""

import pytest

from podstream_workloads.media.rtsp import NameNotFound, open_rtsp


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://127.0.0.1:99999/x",
        "rtsp://127.0.0.1:abc/x",
        "rtsp://user:sec/ret@127.0.0.1/x",
        "rtsp://[::1/x",
        "rtsp://a..b/x",
        f"rtsp://{'a' * 64}.example/x",
    ],
)
def test_a_url_without_host_or_port_says_so_and_no_password(url: str) -> None:
    """Any other error ended the source for good, and nobody was told."""
    with pytest.raises(NameNotFound) as caught:
        open_rtsp(url, timeout_s=1)
    assert "sec" not in str(caught.value)
    assert caught.value.__cause__ is None or "sec" not in str(caught.value.__cause__)
