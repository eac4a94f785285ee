"""What clients of the project say on their data channel every 2 s, so that their loss is seen."""

from typing import Final

HEARTBEAT: Final = "ping"
