"""What the monitoring of the chart is checked with: promtool, and the Prometheus operator's CRDs.

Not a part of the cluster: built when it is asked for, into a folder of its own.
"""

import json
import os
from pathlib import Path

from testcluster import versions
from testcluster.binaries import MODULES, Module, binaries_key, check_disk, go_build, go_version
from testcluster.command import run
from testcluster.console import say, step
from testcluster.errors import ClusterError
from testcluster.locks import locked, prune, published

PROMETHEUS = Module("prometheus", "", tags="remove_all_sd")
"""Without service discovery for two dozen clouds, of which checks of rules need none."""
OPERATOR = Module("prometheus-operator", "", packages=())

CRDS = (
    "monitoring.coreos.com_podmonitors.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
)
_DISK_NEEDED_GB = 3


def monitoring_folder(cache: Path) -> Path:
    """Return the folder of promtool and `crds/`, built or not."""
    key = binaries_key(go_version(), modules=(PROMETHEUS, OPERATOR))
    return cache / "monitoring" / key


def ensure_monitoring(cache: Path) -> Path:
    """Build promtool and fetch the CRDs unless the cache has them; return their folder.

    Raises:
        ClusterError: Go or disk space is missing, or a build fails.
    """
    target = monitoring_folder(cache)
    if target.is_dir():
        return target
    with locked(cache / "monitoring.lock", doing="building promtool"):
        if target.is_dir():
            return target
        check_disk(cache, needed_gb=_DISK_NEEDED_GB)
        say("Building promtool (two to four minutes the first time, then cached):")
        with published(target) as draft:
            with step(f"built promtool of Prometheus {versions.PROMETHEUS}"):
                go_build(PROMETHEUS, draft, log=cache / "log" / "go-prometheus.log")
            with step(f"fetched CRDs of the Prometheus operator {versions.PROMETHEUS_OPERATOR}"):
                _copy_crds(draft / "crds")
        prune(target.parent, pattern="[0-9a-f]*")
    return target


def _copy_crds(target: Path) -> None:
    fetched = run(
        ["go", "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator"],
        cwd=MODULES / OPERATOR.name,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    )
    source = Path(json.loads(fetched.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
    if lacking := [name for name in CRDS if not (source / name).is_file()]:
        raise ClusterError(
            f"The module has no {', '.join(lacking)}.", fix="Check modules/*/go.mod."
        )
    target.mkdir()
    for name in CRDS:
        (target / name).write_text((source / name).read_text())
