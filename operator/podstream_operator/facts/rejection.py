"""An object that the API server would not take."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Rejection:
    """The API server refused an object, as a quota or an admission policy does."""

    reason: str
    message: str
    at: datetime
