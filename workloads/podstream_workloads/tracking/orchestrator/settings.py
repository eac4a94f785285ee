"""What an orchestrator can be told, all of it fixed for its life."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Whose tokens are accepted, and which role lets a peer in."""

    public_key: str
    """RSA public key, PEM text. Only RS256 is accepted."""
    audience: str
    """`aud` of a token, and the name below `resource_access` that lists its roles."""
    client_role: str | None = None
    """Role of viewing clients; none: the client side asks for no token."""
    processor_role: str | None = None
    """Role of camera processors; none: the processor side asks for no token."""
    open_timelines: bool = False
    """Leave `/timelines` and `/objectIds` open although clients need a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what peers can make the orchestrator hold or do."""

    box_budget_bytes: int = 2 * 2**20
    """Boxes that wait for one client in order; above it only the latest of each camera waits."""
    control_messages: int = 1024
    """Control messages that wait for one peer, besides a replay; one more closes it with 1013."""
    stalled_s: float = 10
    """A peer that took nothing for so long while something waits for it is cut off."""
    heartbeat_s: float = 20
    """Seconds between pings in strict mode; no answer within half of it cuts the peer off."""
    message_bytes: int = 10 * 2**20
    """Largest message; a larger one closes the socket with 1009."""
    messages_per_s: float = 500
    """A peer that sends more is read more slowly; nothing of it is lost."""
    burst_messages: int = 2000
    """Messages that a peer may send at once before that."""
    authenticate_within_s: float = 5
    """Time for the first valid token in strict mode."""
    live_objects: int = 10_000
    """Objects tracked at the same time; a further `start` is refused."""
    kept_bytes: int = 256 * 2**20
    """Pictures and feature maps of live objects in memory; what goes beyond is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorSettings:
    """One site's orchestrator."""

    auth: AuthSettings | None = None
    """None: no tokens on either side."""
    compat: bool = False
    """Keep what Tracktech's orchestrator does where podstream is stricter: tokens are looked at
    only when they come, no deadline for the first one, closing without codes, open GETs, no pings.
    """
    max_tracked_s: float = 0
    """An object is given up so long after its `start`; 0: never."""
    idle_s: float = 0
    """An object is given up so long after it was last sighted; 0: never."""
    origins: tuple[str, ...] = ("*",)
    """Origins whose pages may connect; `*` is any. A peer without Origin is not a page."""
    limits: Limits = field(default_factory=Limits)
