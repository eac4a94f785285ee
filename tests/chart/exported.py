"""What operator, router and agent really export, asked of running ones."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass
class Family:
    """One metric as Prometheus meets it."""

    name: str
    kind: str
    text: str
    labels: set[str] = field(default_factory=set)
    has_series: bool = False
    """Without one, the labels of a figure that is made at each scrape are not known."""

    @property
    def samples(self) -> set[str]:
        """Names by which it is asked for."""
        return {f"{self.name}{suffix}" for suffix in _SUFFIXES[self.kind]}


def families(exposition: str, *, registries: Iterable[CollectorRegistry]) -> dict[str, Family]:
    """Metrics of an answer of `/metrics`, by name.

    Labels of a metric that has no series yet are known to its instrument only, in a registry of
    the same kind.
    """
    found = {}
    for family in text_string_to_metric_families(exposition):
        labels = {label for sample in family.samples for label in sample.labels}
        found[family.name] = Family(
            family.name, family.type, family.documentation, labels, bool(family.samples)
        )
    for registry in registries:
        for instrument in list(registry._collector_to_names):  # no public way to a label's name
            if isinstance(instrument, MetricWrapperBase) and instrument._name in found:
                found[instrument._name].labels.update(instrument._labelnames)
                found[instrument._name].has_series = True
    return found
