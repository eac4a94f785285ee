"""Health and metrics, on a port that clients do not reach."""

from collections.abc import Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from podstream_router.watch import Watch


def build_admin_app(
    *,
    watches: Sequence[Watch],
    registry: CollectorRegistry,
    has_media_address: Callable[[], bool],
    is_draining: Callable[[], bool],
    has_asked_peers: Callable[[], bool] = lambda: True,
) -> web.Application:
    """`/healthz` while the process turns, `/readyz`, `/metrics`.

    Ready means: every watch has synced, a media address is known, the other replicas were asked for
    their flows, and no shutdown is under way.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def readyz(_request: web.Request) -> web.Response:
        missing = [
            f"{watch.resource.name} in {watch.resource.namespace or 'all namespaces'}"
            for watch in watches
            if not watch.synced
        ]
        draining, addressed = is_draining(), has_media_address()
        asked = has_asked_peers()
        ready = addressed and asked and not missing and not draining
        body = {
            "ready": ready,
            "unsyncedWatches": missing,
            "mediaAddressKnown": addressed,
            "peersAsked": asked,
            "shuttingDown": draining,
        }
        return web.json_response(body, status=200 if ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
