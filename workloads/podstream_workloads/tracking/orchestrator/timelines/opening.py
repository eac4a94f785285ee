"""Which store a name means."""

from pathlib import Path

from podstream_workloads.tracking.orchestrator.timelines.sqlite import SqliteTimelines
from podstream_workloads.tracking.orchestrator.timelines.values import TimelineStore

_SCHEMES = ("postgresql://", "postgres://")


def store_of(database: str | None, *, site: str = "default") -> TimelineStore:
    """A store, not yet open: a `postgresql://` URL, an SQLite file, or None for memory only."""
    if database is not None and database.startswith(_SCHEMES):
        # Only who uses it needs the driver.
        from podstream_workloads.tracking.orchestrator.timelines.postgres import (  # noqa: PLC0415
            PostgresTimelines,
        )

        return PostgresTimelines(database, site=site)
    return SqliteTimelines(Path(database) if database else None)
