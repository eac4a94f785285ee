"""The dashboard is what its source says, complete, and found by Grafana's sidecar."""

from chart.expressions import dashboard, panels
from chart.helm import CHART, of_kind, one, render
from tools import dashboard as source


def test_dashboard_is_up_to_date() -> None:
    assert source.TARGET.read_text() == source.render(), "run python tests/tools/dashboard.py"


def test_chart_carries_the_file_as_it_is() -> None:
    """Grafana's own placeholders in double braces must not be taken for the chart's."""
    stored = one(render("everything"), "ConfigMap", "podstream-dashboard")
    assert stored["data"]["podstream.json"].strip() == source.TARGET.read_text().strip()
    assert source.TARGET.parent == CHART / "dashboards"
    assert len(stored["data"]["podstream.json"]) < 900_000, "a ConfigMap holds 1 MiB"


def test_sidecar_finds_it() -> None:
    metadata = one(render("everything"), "ConfigMap", "podstream-dashboard")["metadata"]
    assert metadata["labels"]["grafana_dashboard"] == "1"
    assert metadata["annotations"] == {"grafana_folder": "podstream"}
    assert metadata["namespace"] == "monitoring"
    plain = one(
        render("default", "metrics.dashboard.enabled=true"), "ConfigMap", "podstream-dashboard"
    )
    assert plain["metadata"]["namespace"] == "streams"
    assert of_kind(render("default"), "ConfigMap") == []


def test_panels_are_whole() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
        assert panel["targets"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= source.COLUMNS
        taken |= cells


def test_ids_are_unique() -> None:
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)
