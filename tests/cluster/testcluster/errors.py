"""The one error this package raises on purpose."""


class ClusterError(Exception):
    """Something the user can mend. Carries the cause and, where known, the fix.

    The command line prints both and exits with 1, without a traceback.
    """

    def __init__(self, cause: str, *, fix: str = "") -> None:
        """Keep ``cause`` (what is wrong) and ``fix`` (what to do about it)."""
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
