import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podstream_core.ports import MEDIA_PORT_COUNT, MEDIA_PORT_FIRST
from podstream_core.ufrag import make_ufrag, parse_ufrag, pod_digest

_UID = "9f3c1c2e-8a1d-4d5e-9a1b-0c2d3e4f5a6b"


def test_a_fragment_leads_back_to_its_pod_and_port() -> None:
    for port in range(MEDIA_PORT_FIRST, MEDIA_PORT_FIRST + MEDIA_PORT_COUNT):
        target = parse_ufrag(make_ufrag(_UID, port=port))
        assert target == (pod_digest(_UID), port)


def test_fragments_are_ice_characters_and_unguessable() -> None:
    made = {make_ufrag(_UID, port=MEDIA_PORT_FIRST) for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{4,256}", ufrag) for ufrag in made)


def test_a_port_outside_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 20000-20015"):
        make_ufrag(_UID, port=MEDIA_PORT_FIRST + MEDIA_PORT_COUNT)


@given(st.text(max_size=40))
def test_foreign_fragments_lead_nowhere_or_to_a_media_port(text: str) -> None:
    target = parse_ufrag(text)
    assert target is None or 0 <= target.port - MEDIA_PORT_FIRST < MEDIA_PORT_COUNT
