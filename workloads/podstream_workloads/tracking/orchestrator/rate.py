"""How often something may happen: a bucket of tokens that fills at a steady rate. No clock."""


class Rate:
    """Up to `burst` at once, `per_s` in the long run."""

    def __init__(self, *, per_s: float, burst: int, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def wait_s(self, now: float) -> float:
        """Take a token; how long to wait for it, in seconds."""
        self._refill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def allows(self, now: float) -> bool:
        """Take a token if there is one."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
