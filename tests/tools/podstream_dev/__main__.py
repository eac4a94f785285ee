"""`python -m podstream_dev`: the commands behind the Makefile."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from podstream_dev import chart, clients, demo, images
from podstream_dev.platforms import KINDS, Platform, choose
from podstream_dev.shell import ROOT, DevError


def main() -> int:
    """Run one command; 1 with the cause on standard error where it failed."""
    arguments = _parser().parse_args()
    try:
        _run(arguments)
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; repeating the command goes on from here", file=sys.stderr)
        return 130
    return 0


def _run(arguments: argparse.Namespace) -> None:
    platform = choose(arguments.cluster)
    match arguments.command:
        case "up":
            platform.up(nodes=arguments.nodes)
        case "down":
            platform.down()
        case "status":
            platform.status()
        case "env":
            for name, value in platform.env().items():
                print(f"export {name}={shlex.quote(value)}")
        case "images":
            archives = images.build()
            if arguments.load:
                platform.load(archives)
        case "clients":
            clients.prepare()
        case "install":
            chart.install(platform, env=platform.env())
        case "demo":
            _demo(platform, arguments)
        case _:
            raise DevError(f"unknown command {arguments.command}")


def _demo(platform: Platform, arguments: argparse.Namespace) -> None:
    if arguments.sample == "intruder":
        demo.run_intruder(platform, cameras=arguments.cameras)
    else:
        demo.run(platform, sample=Path(arguments.sample).resolve())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="podstream_dev", description=__doc__)
    parser.add_argument(
        "--cluster",
        choices=KINDS,
        default=os.environ.get("CLUSTER") or "auto",
        help="which cluster (default: $CLUSTER, else KIND where Docker runs, else embedded)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make the cluster or make sure that it runs")
    up.add_argument("--nodes", type=int, help="default: as it is, else one")
    commands.add_parser("down", help="remove the cluster")
    commands.add_parser("status", help="what runs")
    commands.add_parser("env", help="export lines: KUBECONFIG and PATH")
    build = commands.add_parser("images", help="build the images that changed")
    build.add_argument("--load", action="store_true", help="and load them into the cluster")
    commands.add_parser("clients", help="install the clients that end-to-end tests use")
    commands.add_parser("install", help="install or upgrade the chart")
    show = commands.add_parser("demo", help="from nothing to a measured result")
    show.add_argument(
        "--sample",
        default=str(ROOT / "crds/samples/circle.yaml"),
        help="a file with a session, or `intruder`: a site with cameras, alarm, edge and cloud",
    )
    show.add_argument("--cameras", type=int, default=2, help="of the sample `intruder` (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
