"""The command line: parses, takes the lock, calls, and turns errors into cause and fix."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from testcluster import (
    environment,
    imagebuild,
    images,
    lifecycle,
    nodeloss,
    restart,
    state,
    status,
    teardown,
)
from testcluster.baseimages import ensure_distribution_images, ensure_system_images, find_base_image
from testcluster.binaries import binaries_folder, ensure_binaries
from testcluster.console import put, say, step
from testcluster.errors import ClusterError
from testcluster.instance import Instance, from_environment
from testcluster.locks import locked
from testcluster.monitoring import ensure_monitoring
from testcluster.packages import ensure_packages

_DESCRIPTION = """\
A real Kubernetes on this machine, in namespaces of its own, built from pinned Go modules and
Debian packages: for tests where no image and no release can be pulled.
"""
_EPILOG = """\
environment:
  PODSTREAM_CLUSTER  one letter, default a: another letter is a second, independent cluster
                     (b is 10.90.0.0/24, c 10.91.0.0/24, ...)
  PODSTREAM_CACHE    programs, images, logs; default ${XDG_CACHE_HOME:-~/.cache}/podstream

typical use:
  python3 -m testcluster up
  eval "$(python3 -m testcluster env)"; kubectl get nodes
  python3 -m testcluster load operator.tar
  python3 -m testcluster down
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="testcluster",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, action: Callable[..., int], text: str) -> argparse.ArgumentParser:
        child = commands.add_parser(name, help=text, description=text)
        child.set_defaults(action=action)
        return child

    add("build", _build, "build programs and base images into the cache (up does what it needs)")
    add("monitoring", _monitoring, "build promtool, fetch the Prometheus operator's CRDs")
    child = add("up", _up, "bring the cluster up, or find that it is up; repairs a broken one")
    child.add_argument(
        "--nodes", type=int, metavar="N", help="how many, from 0 (default: as now, 1)"
    )
    add("down", _down, "remove the cluster; logs and the cache stay")
    add("status", _status, "show what is built and what runs; exits with 1 unless all is well")
    add("env", _env, "print export lines for eval: KUBECONFIG, PATH, addresses")
    child = add("load", _load, "load images into every node")
    child.add_argument("image", nargs="+", help="docker-archive, or pause, coredns, debian, python")
    child = add("node", _node, "lose a node, or bring it back")
    child.add_argument("what", choices=["stop", "start"])
    child.add_argument("index", type=int, metavar="I", help="2 or higher")
    child.add_argument("--link-only", action="store_true", help="stop: only pull the cable")
    child = add("restart", _restart, "end one daemon and start it again; pods run on")
    child.add_argument("name", help="like kubelet-1 or containerd-2")
    child = add("logs", _logs, "print the end of a daemon's log, or the names of all logs")
    child.add_argument("name", nargs="?", help="like kubelet-1 or audit")
    child.add_argument("--lines", type=int, default=200, help="how many (200); 0 is all")
    child = add("image", _image, "build an image from a Dockerfile, with docker or else buildah")
    child.add_argument("what", choices=["build"])
    child.add_argument("--tag", required=True, help="like podstream/operator:dev")
    child.add_argument("--file", type=Path, required=True, help="the Dockerfile")
    child.add_argument("--context", type=Path, default=Path(), help="build context (default .)")
    child.add_argument("--build-arg", action="append", default=[], metavar="K=V")
    child.add_argument("--target", default="", help="stage to stop at")
    child.add_argument("--output", type=Path, required=True, metavar="TAR", help="docker-archive")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 fine, 1 an error that was explained."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.action(from_environment(), arguments))
    except ClusterError as exc:
        say(f"error: {exc.cause}")
        if exc.fix:
            say(f"fix:   {exc.fix}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here, `down` clears up")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _build(instance: Instance, _: argparse.Namespace) -> int:
    lifecycle.require_root()
    ensure_packages()
    binaries = ensure_binaries(instance.cache)
    system = ensure_system_images(instance.cache, binaries)
    distribution = ensure_distribution_images(instance.cache)
    say(f"programs     {binaries}\nbase images  {system}\n             {distribution}")
    return 0


def _monitoring(instance: Instance, _: argparse.Namespace) -> int:
    put(str(ensure_monitoring(instance.cache)))
    return 0


def _up(instance: Instance, arguments: argparse.Namespace) -> int:
    with _alone(instance):
        lifecycle.up(instance, count=arguments.nodes)
    return 0


def _down(instance: Instance, _: argparse.Namespace) -> int:
    lifecycle.require_root()
    with _alone(instance):
        if not teardown.remains(instance):
            say("No cluster is up.")
            return 0
        with step("removed the cluster"):
            teardown.remove(instance)
    return 0


def _status(instance: Instance, _: argparse.Namespace) -> int:
    return 0 if status.show(instance) else 1


def _env(instance: Instance, _: argparse.Namespace) -> int:
    for line in environment.export_lines(instance, binaries=binaries_folder(instance.cache)):
        put(line)
    if state.load(instance) is None:
        say("(no cluster is up; `testcluster up` brings it)")
    return 0


def _load(instance: Instance, arguments: argparse.Namespace) -> int:
    lifecycle.require_root()
    running = state.load(instance)
    if running is None:
        raise ClusterError(
            "No cluster is up to load images into.", fix="Run `testcluster up` first."
        )
    archives = []
    for name in arguments.image:
        base = find_base_image(name, cache=instance.cache, binaries=Path(running.binaries))
        archives.append(base or Path(name))
    with _alone(instance):
        images.load(archives, nodes=instance.nodes(running.nodes))
    return 0


def _node(instance: Instance, arguments: argparse.Namespace) -> int:
    with _alone(instance):
        if arguments.what == "stop":
            nodeloss.stop(instance, arguments.index, link_only=arguments.link_only)
        else:
            nodeloss.start(instance, arguments.index)
    return 0


def _restart(instance: Instance, arguments: argparse.Namespace) -> int:
    with _alone(instance):
        restart.restart(instance, arguments.name)
    return 0


def _logs(instance: Instance, arguments: argparse.Namespace) -> int:
    status.print_log(instance, arguments.name, lines=arguments.lines)
    return 0


def _image(instance: Instance, arguments: argparse.Namespace) -> int:
    imagebuild.build(
        imagebuild.Request(
            tag=arguments.tag,
            dockerfile=arguments.file,
            context=arguments.context,
            output=arguments.output,
            arguments=tuple(arguments.build_arg),
            target=arguments.target,
        ),
        cache=instance.cache,
    )
    return 0


def _alone(instance: Instance) -> contextlib.AbstractContextManager[None]:
    """Hold the instance's lock: two commands that change one cluster never overlap."""
    return locked(
        instance.work.with_name(f"{instance.work.name}.lock"), doing="changing the cluster"
    )
