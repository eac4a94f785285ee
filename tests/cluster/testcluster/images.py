"""Imports image archives into every node's containerd."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testcluster.archive import image_names
from testcluster.command import run
from testcluster.console import step
from testcluster.instance import Node


def import_archive(archive: Path, *, nodes: Iterable[Node]) -> list[str]:
    """Import one docker-archive into the nodes, all at once; return its tags.

    Raises:
        ClusterError: the file is no such archive, or a node's containerd refuses it.
    """
    names = image_names(archive)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _import(archive, node), nodes))
    return names


def load(archives: Sequence[Path], *, nodes: Sequence[Node]) -> None:
    """Import archives one after the other, a line of progress each."""
    for archive in archives:
        names = image_names(archive)
        with step(f"loaded {', '.join(names) or archive.name} into {len(nodes)} node(s)"):
            import_archive(archive, nodes=nodes)


def _import(archive: Path, node: Node) -> None:
    argv = ["ctr", f"--address={node.socket}", "--namespace=k8s.io", "images", "import"]
    run(
        [*argv, archive.absolute()],
        fix=f"Does containerd run? `testcluster logs containerd-{node.index}`",
    )
