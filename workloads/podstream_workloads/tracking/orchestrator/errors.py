"""Why the orchestrator does not do what a peer asks for."""


class Refused(Exception):
    """A message has no effect. Logged; told only to peers that said `hello`.

    Attributes:
        code: stable word for programs, member `code` of the `error` message.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class TokenRefused(Exception):
    """A token does not let its bearer in.

    Attributes:
        lacks_role: the token is genuine and in time, but without the role.
    """

    def __init__(self, text: str, *, lacks_role: bool = False) -> None:
        super().__init__(text)
        self.lacks_role = lacks_role


class StoreError(Exception):
    """The store of objects and timelines does not answer, or not as it should."""
