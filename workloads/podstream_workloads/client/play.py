"""A whole run: connect, play, connect again after a failure, leave."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp

from podstream_workloads.client.errors import ClientError, SessionGone, Unreachable
from podstream_workloads.client.estimators import BallEstimator, make_estimator
from podstream_workloads.client.link import End, Link
from podstream_workloads.client.pipeline import Pipeline
from podstream_workloads.client.settings import ClientSettings
from podstream_workloads.client.signalling import SignallingClient
from podstream_workloads.client.tally import Tally
from podstream_workloads.client.whep import WhepClient
from podstream_workloads.media.aiortc_private import install_marker_release

logger = logging.getLogger(__name__)

RECONNECT_S: Final = 10.0
"""How long a client whose connection failed tries to come back."""


class Player:
    """Plays one session; counts in `tally`."""

    def __init__(self, settings: ClientSettings, *, stop: asyncio.Event) -> None:
        """Prepare to play; setting `stop` ends it in order.

        Raises:
            EstimatorError: the estimator cannot work here.
        """
        self._settings = settings
        self._stop = stop
        self._estimator: BallEstimator = make_estimator(settings.play.estimator)
        self.tally = Tally()

    async def run(self) -> End:
        """Play to the end.

        Raises:
            ClientError: the session refused or failed.
        """
        install_marker_release()
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        async with aiohttp.ClientSession() as http:
            signalling = WhepClient(
                self._settings.url,
                http=http,
                token=self._settings.token,
                connect_timeout_s=self._settings.connect_timeout_s,
                reconnect_timeout_s=RECONNECT_S,
            )
            playing = asyncio.create_task(self._play(signalling), name="play")
            try:
                await asyncio.wait((playing, stopping), return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    return playing.result()
                return End.STOPPED
            finally:
                for task in (playing, stopping):
                    task.cancel()
                await asyncio.gather(playing, stopping, return_exceptions=True)

    async def _play(self, signalling: SignallingClient) -> End:
        """Play one connection after the other."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="estimator") as executor:
            end = await self._play_limited(signalling, executor)
        if end is not End.REACHED or self.tally.received:
            return end
        raise Unreachable(
            "connected, but no picture came within --duration: check that the session's pod sends"
        )

    async def _play_limited(
        self, signalling: SignallingClient, executor: ThreadPoolExecutor
    ) -> End:
        link = await self._open(signalling)
        deadline = None
        if self._settings.play.duration_s is not None:
            deadline = time.monotonic() + self._settings.play.duration_s
        while True:
            frames_before = self.tally.received
            end = await self._play_one(link, signalling, executor, deadline=deadline)
            if end is not End.FAILED:
                return end
            if self.tally.received == frames_before:
                raise Unreachable(
                    "the media connection failed before any picture came: check that UDP to the "
                    "router's media address is open in both directions"
                )
            logger.warning("connection failed, connecting again")
            try:
                link = await self._reopen(signalling)
            except SessionGone as error:
                logger.info("not connected again", extra={"cause": str(error)})
                return End.CLOSED

    async def _play_one(
        self,
        link: Link,
        signalling: SignallingClient,
        executor: ThreadPoolExecutor,
        *,
        deadline: float | None,
    ) -> End:
        self.tally.connections += 1
        self.tally.codec = link.codec
        logger.info("connected", extra={"codec": link.codec})
        pipeline = Pipeline(
            link,
            settings=self._settings.play,
            estimator=self._estimator,
            executor=executor,
            tally=self.tally,
        )
        end = End.STOPPED
        try:
            end = await _race(pipeline, link, deadline=deadline)
            logger.info("ended", extra={"reason": end.value})
            return end
        finally:
            if end is not End.CLOSED:
                if end is not End.FAILED:
                    await link.flush()
                await signalling.end()
            await link.close()

    async def _open(self, signalling: SignallingClient) -> Link:
        try:
            return await Link.open(signalling, late=bool(self._settings.play.join_late_s))
        except BaseException:
            await signalling.end()
            raise

    async def _reopen(self, signalling: SignallingClient) -> Link:
        """Connect again within `RECONNECT_S`.

        Raises:
            SessionGone: the session has ended.
            ClientError: it cannot be reached.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECONNECT_S
        cause: ClientError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        return await self._open(signalling)
                    except Unreachable as error:
                        cause = error
                        await asyncio.sleep(0.2)
        except TimeoutError:
            why = cause or "no answer"
            raise Unreachable(
                f"the connection was lost and did not come back within {RECONNECT_S:.0f} s: {why}"
            ) from None


async def _race(pipeline: Pipeline, link: Link, *, deadline: float | None) -> End:
    """Play until the pipeline or the connection ends, or the time is over."""
    playing = asyncio.create_task(pipeline.run(), name="pipeline")
    ending = asyncio.create_task(link.over(), name="link")
    timeout_s = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        done, _ = await asyncio.wait(
            (playing, ending), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (playing, ending):
            if task in done:
                return task.result()
        return End.REACHED
    finally:
        for task in (playing, ending):
            task.cancel()
        await asyncio.gather(playing, ending, return_exceptions=True)
