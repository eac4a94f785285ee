"""What the tokens of operator and router say, or why they are refused."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from podstream_core.agentapi import Assignment, ConnectionGrant
from podstream_core.tokens import PublicKeys, TokenError, TokenType
from podstream_workloads.agent.errors import Refusal

MAX_ASSIGNMENT_ID_CHARS: Final = 128
"""The id has to fit into the termination record."""


class TokenReader:
    """Verifies tokens that are meant for this pod."""

    def __init__(self, keys: PublicKeys, *, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    def check_control(self, token: str) -> None:
        """Accept a CONTROL token.

        Raises:
            Refusal: InvalidToken.
        """
        self._verify(token, TokenType.CONTROL)

    def read_assignment(self, token: str) -> Assignment:
        """The assignment in an ASSIGNMENT token.

        Raises:
            Refusal: InvalidToken, or SpecRejected where its claims cannot be read.
        """
        claims = self._verify(token, TokenType.ASSIGNMENT)
        try:
            assignment = Assignment.from_body(claims)
        except msgspec.ValidationError as error:
            raise Refusal(422, "SpecRejected", f"assignment cannot be read: {error}") from error
        if claims["sub"] != assignment.assignment_id:
            raise Refusal(401, "InvalidToken", "the token's subject is not its assignment")
        return assignment

    def read_grant(self, token: str) -> ConnectionGrant:
        """The grant in a CONNECTION token.

        Raises:
            Refusal: InvalidToken.
        """
        claims = self._verify(token, TokenType.CONNECTION)
        try:
            grant = ConnectionGrant.from_body(claims)
        except msgspec.ValidationError as error:
            raise Refusal(401, "InvalidToken", f"the grant cannot be read: {error}") from error
        if claims["sub"] != grant.session_uid:
            raise Refusal(401, "InvalidToken", "the token's subject is not its session")
        return grant

    def _verify(self, token: str, kind: TokenType) -> dict[str, Any]:
        try:
            return self._keys.verify(token, kind=kind, audience=self._audience)
        except TokenError as error:
            raise Refusal(401, "InvalidToken", str(error)) from error


def check_assignable(assignment: Assignment, *, registry: Mapping[str, str]) -> None:
    """Accept an assignment that this pod's image can serve.

    Raises:
        Refusal: SpecRejected.
    """
    names = assignment.spec.workloads
    if len(assignment.assignment_id) > MAX_ASSIGNMENT_ID_CHARS:
        message = f"an assignment id has at most {MAX_ASSIGNMENT_ID_CHARS} characters"
        raise Refusal(422, "SpecRejected", message)
    if not names:
        raise Refusal(422, "SpecRejected", "the spec sets no workload; set spec.circle")
    unknown = [name for name in names if name not in registry]
    if unknown:
        message = f"this pod's image has no workload {', '.join(unknown)}"
        raise Refusal(422, "SpecRejected", message)
