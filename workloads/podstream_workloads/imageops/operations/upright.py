"""The operations that turn a picture upright by its EXIF orientation (CIPA DC-008, 4.6.4)."""

from typing import Final

from podstream_workloads.imageops.operations.values import Flip, Operation, QuarterTurn, Turn

_OPERATIONS: Final[dict[int, tuple[Operation, ...]]] = {
    2: (Flip(horizontal=True),),
    3: (QuarterTurn(turn=Turn.ONE_EIGHTY),),
    4: (Flip(vertical=True),),
    5: (QuarterTurn(turn=Turn.NINETY), Flip(vertical=True)),
    6: (QuarterTurn(turn=Turn.TWO_SEVENTY),),
    7: (QuarterTurn(turn=Turn.TWO_SEVENTY), Flip(vertical=True)),
    8: (QuarterTurn(turn=Turn.NINETY),),
}


def upright(orientation: int) -> tuple[Operation, ...]:
    """What has to be done first; nothing for orientation 1."""
    return _OPERATIONS.get(orientation, ())
