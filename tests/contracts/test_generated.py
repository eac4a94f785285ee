"""What is made from another file is up to date."""

import tomllib

import yaml

from contracts.crds import ROOT
from tools import api_docs, image_protos, pool_template, sync_crds


def test_template_of_pools_is_that_of_sessions() -> None:
    session_crd = yaml.safe_load(pool_template.SESSION.read_text())
    present = pool_template.POOL.read_text()
    wanted = pool_template.render(present, session_crd=session_crd)
    assert present == wanted, "run python tests/tools/pool_template.py"


def test_chart_carries_the_crds() -> None:
    changed, stray = sync_crds.plan_copy(sync_crds.SOURCE, target=sync_crds.TARGET)
    assert (changed, stray) == ({}, []), "run python tests/tools/sync_crds.py"


def test_api_page_is_up_to_date() -> None:
    assert api_docs.TARGET.read_text() == api_docs.render(), "run python tests/tools/api_docs.py"


def test_messages_of_the_image_services_are_up_to_date() -> None:
    present = {path.name: path.read_text() for path in image_protos.TARGET.glob("*_pb2.py*")}
    assert present == image_protos.generate(), "run python tests/tools/image_protos.py"


def test_one_version_for_everything() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "helm" / "podstream" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project, project)
