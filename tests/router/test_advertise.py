from collections.abc import Sequence

from podstream_router.advertise import MAX_PER_NAME, Advertised, resolve_host
from podstream_router.sdp import MediaAddress


class Names:
    """A resolver whose answers change."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = known

    async def __call__(self, host: str) -> Sequence[str]:
        if host not in self.known:
            raise OSError(f"{host}: no such name")
        return self.known[host]


async def test_addresses_keep_their_order_and_names_are_resolved() -> None:
    advertised = Advertised(
        ["192.0.2.1:3478", "router:3478", "[2001:db8::1]:30478"],
        resolve=Names(router=["10.96.0.7"]),
    )
    assert not advertised.addresses
    await advertised.refresh()
    assert advertised.addresses == (
        MediaAddress("192.0.2.1", 3478),
        MediaAddress("10.96.0.7", 3478),
        MediaAddress("2001:db8::1", 30478),
    )


async def test_name_that_moves_is_followed_and_one_that_vanishes_is_kept() -> None:
    names = Names(router=["10.96.0.7"])
    advertised = Advertised(["router:1"], resolve=names)
    await advertised.refresh()
    names.known["router"] = ["10.96.0.8"]
    await advertised.refresh()
    assert advertised.addresses == (MediaAddress("10.96.0.8", 1),)
    names.known.clear()
    await advertised.refresh()
    assert advertised.addresses == (MediaAddress("10.96.0.8", 1),)


async def test_same_address_twice_is_one_candidate() -> None:
    advertised = Advertised(["a:1", "b:1"], resolve=Names(a=["10.0.0.1"], b=["10.0.0.1"]))
    await advertised.refresh()
    assert len(advertised.addresses) == 1


async def test_addresses_of_one_name_are_bounded() -> None:
    many = [f"10.0.0.{number}" for number in range(50)]
    advertised = Advertised(["a:1"], resolve=Names(a=many))
    await advertised.refresh()
    assert len(advertised.addresses) == MAX_PER_NAME


async def test_system_resolver_knows_this_machine() -> None:
    assert set(await resolve_host("localhost")) & {"127.0.0.1", "::1"}
