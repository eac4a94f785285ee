"""Is this socket let in, and for how long? The state of one socket's authentication, no I/O."""

from dataclasses import dataclass, field

from podstream_workloads.tracking.orchestrator.clock import Clock
from podstream_workloads.tracking.orchestrator.errors import TokenRefused
from podstream_workloads.tracking.orchestrator.tokens import RoleCheck

UNAUTHENTICATED = 4401
"""Close code: no valid token in time, or the token has expired."""
FORBIDDEN = 4403
"""Close code: the token was genuine, its role was missing."""


@dataclass(slots=True)
class Admission:
    """One socket's way in. Without a check everybody is admitted at once."""

    check: RoleCheck | None
    clock: Clock
    strict: bool
    """A deadline for the first token, and expiry enforced on the open socket."""
    within_s: float
    admitted: bool = field(init=False)
    _deadline: float = field(init=False)
    _expires: float | None = field(init=False, default=None)
    refused: int = field(init=False, default=0)
    """Tokens that were not accepted."""
    _lacked_role: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.admitted = self.check is None
        self._deadline = self.clock.monotonic() + self.within_s

    def present(self, token: str | None) -> None:
        """Take a token: the first lets in, a later one renews the expiry.

        Raises:
            TokenRefused: it is missing or not acceptable; what was granted before stays.
        """
        if self.check is None:
            return
        try:
            if token is None:
                raise TokenRefused("token refused: jwt is missing")
            expiry = self.check.expiry_of(token)
        except TokenRefused as error:
            self.refused += 1
            self._lacked_role = self._lacked_role or error.lacks_role
            raise
        self.admitted = True
        # Durations by the monotonic clock: setting the date must not prolong a grant.
        self._expires = self.clock.monotonic() + expiry - self.clock.utc()

    def verdict(self) -> tuple[int, str] | None:
        """Close code and reason if the socket must go by now."""
        if not self.strict or self.check is None:
            return None
        now = self.clock.monotonic()
        if self._expires is not None:
            return (UNAUTHENTICATED, "token expired") if now >= self._expires else None
        if now < self._deadline:
            return None
        if self._lacked_role:
            return FORBIDDEN, "the token's role is missing"
        return UNAUTHENTICATED, "no valid token in time"
