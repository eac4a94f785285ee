"""`podstream-faces`: makes a gallery of known faces, and asks one whose face a picture shows."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from podstream_workloads.tracking.intruder.recognisers.local.recogniser import LocalRecogniser
from podstream_workloads.tracking.intruder.recognisers.local.training import (
    COPIES,
    TrainingFailed,
    train,
)

_EXAMPLES: Final = """\
examples:
  podstream-faces train known_faces/ --output gallery.npz
  podstream-faces train known_faces/ --others other_faces/ --output gallery.npz
  podstream-faces check gallery.npz photo.jpg

FOLDER holds <name>.png (or .jpg), or a folder <name>/ with pictures of one person each.
Give one well-lit frontal face per picture, at least 100 pixels wide.
exit codes: 0 done, 1 no gallery, 2 wrong flags
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is one of those in `--help`."""
    parser = argparse.ArgumentParser(
        prog="podstream-faces",
        description="Make and try the gallery of the Local recogniser.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    learn = commands.add_parser("train", help="make a gallery of a folder of pictures")
    learn.add_argument("folder", type=Path)
    learn.add_argument("--output", type=Path, required=True, metavar="FILE", help="gallery.npz")
    learn.add_argument(
        "--others", type=Path, metavar="FOLDER", help="faces that are not known, for a sure limit"
    )
    learn.add_argument(
        "--copies", type=_copies, default=COPIES, help=f"altered copies per picture ({COPIES})"
    )
    check = commands.add_parser("check", help="say whose face each picture shows")
    check.add_argument("gallery", type=Path)
    check.add_argument("pictures", type=Path, nargs="+")
    given = parser.parse_args(arguments)
    try:
        if given.command == "train":
            _train(given)
        else:
            asyncio.run(_check(given))
    except (TrainingFailed, OSError) as error:
        print(f"podstream-faces: {error}", file=sys.stderr)  # noqa: T201 - words to its user
        return 1
    return 0


def _train(given: argparse.Namespace) -> None:
    gallery = train(
        given.folder,
        others=given.others,
        copies=given.copies,
        say=print,
    )
    gallery.save(given.output)
    print(  # noqa: T201 - words to its user
        f"{given.output}: {len(gallery.names)} people, {given.output.stat().st_size} bytes, "
        f"known from a likeness of {gallery.threshold:.2f}"
    )


async def _check(given: argparse.Namespace) -> None:
    recogniser = LocalRecogniser(given.gallery)
    await recogniser.open()
    for path in given.pictures:
        data = await asyncio.to_thread(path.read_bytes)
        verdict = await recogniser.recognise(data, track=path.name)
        likeness = "" if verdict.similarity is None else f" {verdict.similarity:.2f}"
        print(  # noqa: T201 - words to its user
            f"{path}: {verdict.outcome.value} {verdict.name or verdict.reason}{likeness}"
        )
    await recogniser.close()


def _copies(text: str) -> int:
    count = int(text)
    if not 4 <= count <= 200:  # noqa: PLR2004 - fewer say nothing of what differs
        raise argparse.ArgumentTypeError("must lie between 4 and 200")
    return count


if __name__ == "__main__":
    sys.exit(main())
