"""x."""

from dataclasses import dataclass
from pathlib import Path
@dataclass
class Request:
    tag: str
def build(request: Request, *, cache: Path) -> None: ...
