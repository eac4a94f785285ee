"""A session's figures as one line, for people who look at status."""

from podstream_core.api import CircleResults


def play_summary(results: CircleResults) -> str:
    """What a game came to, for example `RMSE 0.013 px over 300 frames, 30.0 fps, p95 8 ms`."""
    if results.rmse_px is None:
        if not results.frames_sent:
            return "nothing was sent yet"
        return f"no frame of {results.frames_sent} was scored, {results.frames_missed} missed"
    parts = [f"RMSE {results.rmse_px:.3g} px over {results.frames_scored} frames"]
    if results.fps is not None:
        parts.append(f"{results.fps:.1f} fps")
    if results.latency_ms is not None:
        parts.append(f"p95 latency {results.latency_ms.p95:.0f} ms")
    parts += [
        f"{count} {words}"
        for count, words in (
            (results.frames_missed, "missed"),
            (results.frames_unmatched, "unmatched"),
            (results.frames_skipped, "skipped"),
            (results.codes_differed, "codes differ"),
        )
        if count
    ]
    return ", ".join(parts)


def upload_summary(
    *, found: int, looked: int, fps: float | None, size: tuple[int, int] | None
) -> str:
    """What was seen in a client's video, for example `ball in 290 of 300 frames of 640x480`."""
    if size is None:
        return "no picture yet"
    rate = "" if fps is None else f", {fps:.1f} fps"
    return f"ball in {found} of {looked} frames of {size[0]}x{size[1]}{rate}"
