"""Who gets raw frames and who processed ones, and the processor where there is one."""

from collections.abc import Callable
from dataclasses import dataclass

from podstream_core.api import FrameChoice, RecordingCodec, Stream
from podstream_workloads.stream.frames import Frame
from podstream_workloads.stream.processing.processor import Processor


class ProcessingError(Exception):
    """The operations cannot be applied to the stream's frames; the message says why."""


@dataclass(frozen=True, slots=True)
class Processing:
    """The choices of a session."""

    raw_size: tuple[int, int]
    """Width and height, pixels."""
    processed_size: tuple[int, int]
    viewers: FrameChoice = FrameChoice.RAW
    recording: FrameChoice = FrameChoice.RAW
    processor: Processor | None = None

    def size_of(self, choice: FrameChoice) -> tuple[int, int]:
        """Width and height of such frames."""
        return self.raw_size if choice is FrameChoice.RAW else self.processed_size

    @property
    def frames(self) -> int:
        """Processed so far."""
        return 0 if self.processor is None else self.processor.frames

    def offer(self, frame: Frame) -> None:
        """Process a frame unless a newer one comes before its turn. Never waits."""
        if self.processor is not None:
            self.processor.offer(frame)

    async def close(self) -> None:
        """End the process."""
        if self.processor is not None:
            await self.processor.close()


def make_processing(
    spec: Stream, *, on_frame: Callable[[Frame], None], on_failure: Callable[[str], None]
) -> Processing:
    """What a spec asks for; without `postProcess` everybody gets raw frames.

    Raises:
        ProcessingError: the operations do not fit the stream, or what they give the recording.
    """
    size, wanted = (spec.width, spec.height), spec.post_process
    if wanted is None:
        return Processing(size, size)
    # It loads the messages of the image service, which other streams need not pay for.
    from podstream_workloads.imageops.streaming.chain import plan  # noqa: PLC0415

    try:
        chain = plan(wanted.operations, width=spec.width, height=spec.height)
    except ValueError as error:
        raise ProcessingError(f"spec.stream.postProcess.operations: {error}") from error
    result = (chain.width, chain.height)
    is_recorded = spec.recording is not None and wanted.recording is FrameChoice.PROCESSED
    is_h264 = spec.recording is not None and spec.recording.codec is RecordingCodec.H264
    if is_recorded and is_h264 and (chain.width % 2 or chain.height % 2):
        raise ProcessingError(
            f"spec.stream.postProcess gives {chain.width}x{chain.height}, and H264 takes even "
            "sizes only: set recording.codec to MJPG or XVID"
        )
    processor = Processor(chain, size=size, on_frame=on_frame, on_failure=on_failure)
    return Processing(size, result, wanted.viewers, wanted.recording, processor)
