"""What a session's spec means to the parts of this package."""

from pathlib import Path
from typing import Final

from podstream_core import names
from podstream_core.agentapi import SessionRef
from podstream_core.api import OrchestratorAuth, TimelineStoreType, TrackingOrchestrator
from podstream_workloads.agent import SpecRejected
from podstream_workloads.tracking.orchestrator import (
    AuthSettings,
    OrchestratorSettings,
    SqliteTimelines,
    StoreError,
    TimelineStore,
)

DATABASE: Final = "timelines.sqlite3"


def orchestrator_settings(spec: TrackingOrchestrator, *, volumes: Path) -> OrchestratorSettings:
    """Settings of a site.

    Args:
        spec: `spec.tracking.orchestrator`.
        volumes: folder below which the session's volumes are mounted.

    Raises:
        SpecRejected: the issuer's public key cannot be read.
    """
    auth = spec.auth
    return OrchestratorSettings(
        auth=None if auth is None else _auth(auth, folder=volumes / names.TRACKING_AUTH),
        compat=spec.compat,
        origins=tuple(spec.origins) or ("*",),
        max_tracked_s=spec.max_tracked_seconds,
        idle_s=spec.idle_seconds,
    )


def timelines_store(
    spec: TrackingOrchestrator, *, volumes: Path, session: SessionRef
) -> TimelineStore:
    """Where a site keeps objects and timelines, not yet open.

    Raises:
        SpecRejected: the volume cannot be written.
    """
    if spec.timelines.store is not TimelineStoreType.POSTGRESQL:
        return SqliteTimelines(_timelines_path(spec, volumes=volumes))
    # Other sites' pods need no driver.
    from podstream_workloads.tracking.orchestrator.timelines.postgres import (  # noqa: PLC0415
        PostgresTimelines,
    )

    file = volumes / names.TRACKING_DATABASE / names.DATABASE_URL

    def url() -> str:
        try:
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"the URL of the database cannot be read: {error}") from error

    return PostgresTimelines(url, site=f"{session.namespace}/{session.name}")


def _timelines_path(spec: TrackingOrchestrator, *, volumes: Path) -> Path | None:
    """File of objects and timelines, whose folder is made; `None`: they are kept in memory.

    Raises:
        SpecRejected: the folder cannot be made.
    """
    volume = spec.timelines.volume
    if volume is None:
        return None
    folder = volumes / names.TRACKING_TIMELINES / (volume.path or "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecRejected(f"the volume of the timelines cannot be written: {error}") from error
    return folder / DATABASE


def _auth(auth: OrchestratorAuth, *, folder: Path) -> AuthSettings:
    try:
        key = (folder / names.TRACKING_PUBLIC_KEY).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecRejected(f"spec.tracking.orchestrator.auth.publicKey: {error}") from error
    return AuthSettings(
        public_key=key,
        audience=auth.audience,
        client_role=auth.client_role,
        processor_role=auth.processor_role,
        open_timelines=auth.open_timelines,
    )
