"""What a site's messages do: who is connected, what is tracked, who is told what, in which order.

One instance, used from one event loop only. Nothing here waits for a peer: sending is a matter of
`Peer`. The one thing that is waited for is that a new object's id is stored before it is announced.
"""

import logging
from collections.abc import Iterable
from typing import Final

from podstream_workloads.tracking.orchestrator import messages
from podstream_workloads.tracking.orchestrator.clock import Clock
from podstream_workloads.tracking.orchestrator.descriptors import scheme_of
from podstream_workloads.tracking.orchestrator.errors import Refused
from podstream_workloads.tracking.orchestrator.frames import text_frame
from podstream_workloads.tracking.orchestrator.messages import Incoming, Scalar
from podstream_workloads.tracking.orchestrator.objects import (
    EndReason,
    ObjectTable,
    Target,
    TrackedObject,
)
from podstream_workloads.tracking.orchestrator.peer import Peer
from podstream_workloads.tracking.orchestrator.rate import Rate
from podstream_workloads.tracking.orchestrator.settings import OrchestratorSettings
from podstream_workloads.tracking.orchestrator.timelines.recorder import Recorder
from podstream_workloads.tracking.orchestrator.timelines.values import (
    MICROSECONDS,
    FeatureMapKnown,
    Kept,
    ObjectEnded,
    ObjectStarted,
)

logger = logging.getLogger(__name__)

_LOG_PER_S: Final = 50.0  # lines about control messages to peers
_LOG_BURST: Final = 500

REPLACED: Final = 4409
"""Close code: another processor has registered under the same id."""


class Site:
    """Clients, processors and objects of one site."""

    def __init__(self, settings: OrchestratorSettings, *, clock: Clock, recorder: Recorder) -> None:
        self._settings = settings
        self._clock = clock
        self._recorder = recorder
        self._logging = Rate(per_s=_LOG_PER_S, burst=_LOG_BURST, now=clock.monotonic())
        self.objects = ObjectTable()
        self.clients: dict[Peer, None] = {}
        """Clients that get broadcasts, the earliest first."""
        self.processors: dict[Scalar, Peer] = {}
        """Processors by the id they gave themselves."""
        self.boxes_in = 0
        self.boxes_out = 0
        self.dropped = 0
        """Boxes messages that peers who have left did not get."""

    def restore(self, kept: Kept) -> None:
        """Take up what earlier runs have left; ages go on."""
        now, now_us = self._clock.monotonic(), self._recorder.now_us()

        def seconds_ago(moment_us: int) -> float:
            return max(0.0, (now_us - moment_us) / MICROSECONDS)

        objects = []
        for item in kept.live:
            began = item.started
            target = Target(
                camera=began.camera.encode(),
                frame_id=_encoded(began.frame_id),
                box_id=_encoded(began.box_id),
                image=_encoded(began.image),
            )
            objects.append(
                TrackedObject(
                    number=began.number,
                    target=target,
                    started_at=now - seconds_ago(began.started_us),
                    seen_at=now - seconds_ago(item.seen_us),
                    feature_map=_encoded(item.feature_map),
                    scheme=scheme_of(_encoded(item.feature_map)),
                )
            )
        self.objects.restore(objects, last_number=kept.last_number)

    def join(self, client: Peer) -> None:
        """A client gets broadcasts from now on."""
        self.clients[client] = None

    def leave(self, peer: Peer) -> None:
        """A peer is gone; what it started goes on."""
        self.clients.pop(peer, None)
        self._unregister(peer)
        self.dropped += peer.dropped

    def identify(self, processor: Peer, message: Incoming) -> None:
        """Register a processor under its id, and tell it what it has to know.

        The newest processor of an id wins; a processor has one id, its last.
        """
        name = messages.scalar(message.id, "id")
        self._unregister(processor)
        former = self.processors.pop(name, None)
        if former is not None and not self._settings.compat:
            former.part(REPLACED, "another processor has this id")
        processor.camera, processor.camera_name = bytes(message.id), name
        self.processors[name] = processor
        self._replay_to_processor(processor, name)

    def relay_boxes(self, processor: Peer, message: Incoming) -> None:
        """Send boxes to the clients, then note which objects were seen.

        Raises:
            Refused: a member is missing (nothing was sent), or the boxes have a wrong shape (sent
                all the same, as they came).
        """
        frame_id = messages.given(message.frame_id, "frameId")
        boxes = messages.given(message.boxes, "boxes")
        self.boxes_in += 1
        camera = processor.camera
        frame = text_frame(messages.bounding_boxes(camera, frame_id=frame_id, boxes=boxes))
        key = processor.camera_name
        for client in self.clients:
            if client.cameras is None or key in client.cameras:
                client.send_boxes(frame, key)
                self.boxes_out += 1
        if logger.isEnabledFor(logging.DEBUG):
            told = {"peers": len(self.clients), "text": messages.shorten(frame)}
            logger.debug("sent", extra=told)
        for number in messages.sighted(boxes):
            item = self.objects.live.get(number)
            if item is None:
                logger.debug("sighting of an object that is not tracked", extra={"object": number})
                continue
            item.seen_at = self._clock.monotonic()
            self._recorder.sighted(number, camera)

    def update_feature_map(self, message: Incoming) -> None:
        """Keep a feature map and send it to every processor, its sender too.

        Raises:
            Refused: a member is missing, the object is unknown, or the map is of another scheme
                than those of the other objects, with which it could not be compared.
        """
        number = messages.object_id(messages.given(message.object_id, "objectId"))
        known = bytes(messages.given(message.feature_map, "featureMap"))
        item = self.objects.live.get(number) if number is not None else None
        if item is None:
            raise Refused("UnknownObject", "unknown object")
        scheme = scheme_of(known)
        for other in self.objects.live.values() if scheme is not None else ():
            if other is not item and other.scheme not in {None, scheme}:
                raise Refused("DescriptorMixture", f"map of {scheme}, others of {other.scheme}")
        self._make_room(len(known) - len(item.feature_map or b""))
        self.objects.describe(item, known, scheme)
        self._recorder.mapped(FeatureMapKnown(number=item.number, feature_map=known.decode()))
        self._send(self.processors.values(), messages.feature_map(item.number, known=known))

    async def start(self, message: Incoming) -> TrackedObject:
        """Begin to track what a client points at.

        Raises:
            Refused: nothing is pointed at, or the camera is unknown; no id is used.
        """
        name = messages.scalar(message.camera_id, "cameraId")
        target = Target(
            camera=bytes(message.camera_id),
            frame_id=messages.optional(message.frame_id),
            box_id=messages.optional(message.box_id),
            image=messages.optional(message.image),
        )
        if target.image is None and (target.frame_id is None or target.box_id is None):
            raise Refused("MissingProperty", "missed a property: image, or frameId and boxId")
        if name not in self.processors:
            raise Refused("UnknownProcessor", "Unknown processor")
        if len(self.objects.live) >= self._settings.limits.live_objects:
            raise Refused("TooManyObjects", "too many objects are tracked")
        self._make_room(len(target.image or b""))
        number = self.objects.next_number()
        await self._recorder.started(
            ObjectStarted(
                number=number,
                camera=target.camera.decode(),
                frame_id=_decoded(target.frame_id),
                box_id=_decoded(target.box_id),
                image=_decoded(target.image),
                started_us=self._recorder.now_us(),
            )
        )
        item = self.objects.add(number, target, now=self._clock.monotonic())
        processor = self.processors.get(name)
        if processor is not None:
            self._send([processor], item.start_message())
        told = messages.new_object(item.number, image=target.image)
        self._send((client for client in self.clients if client.uses_images), told)
        return item

    def stop(self, message: Incoming) -> None:
        """Track an object no longer.

        Raises:
            Refused: it is not tracked.
        """
        number = messages.object_id(messages.given(message.object_id, "objectId"))
        item = self.objects.live.get(number) if number is not None else None
        if item is None:
            raise Refused("UnknownObject", "unknown object")
        self._end(item, EndReason.STOPPED)

    def use_images(self, client: Peer, message: Incoming) -> None:
        """Set whether a client wants pictures; at `true` it gets those of all live objects.

        Raises:
            Refused: usesImages is missing.
        """
        wanted = messages.value_of(messages.given(message.uses_images, "usesImages"))
        client.uses_images = bool(wanted)
        for item in self.objects.live.values() if wanted is True else ():
            if item.target.image is not None:
                self._send([client], messages.new_object(item.number, image=item.target.image))

    def expire(self) -> None:
        """Give up objects whose time is over."""
        settings = self._settings
        now = self._clock.monotonic()
        for item, reason in self.objects.due(
            now, max_tracked_s=settings.max_tracked_s, idle_s=settings.idle_s
        ):
            self._end(item, reason)

    def _end(self, item: TrackedObject, reason: EndReason) -> None:
        self.objects.end(item.number)
        logger.info("object ended", extra={"object": item.number, "why": reason})
        self._recorder.ended(
            ObjectEnded(number=item.number, ended_us=self._recorder.now_us(), reason=reason)
        )
        told = [client for client in self.clients if client.uses_images]
        self._send([*self.processors.values(), *told], messages.stop(item.number))
        knowing = [*self.processors.values(), *self.clients]
        self._send(
            (peer for peer in knowing if peer.said_hello),
            messages.track_ended(item.number, reason=reason),
        )

    def _make_room(self, more_bytes: int) -> None:
        """Refuse a picture or a feature map for which there is no memory."""
        if self.objects.kept_bytes + more_bytes > self._settings.limits.kept_bytes:
            raise Refused("NoRoom", "pictures and feature maps take too much memory")

    def _replay_to_processor(self, processor: Peer, name: Scalar) -> None:
        live = list(self.objects.live.values())
        for item in live:
            told = messages.feature_map(item.number, known=item.feature_map)
            self._send([processor], told)
        for item in live:
            if messages.value_of(item.target.camera) == name:
                self._send([processor], item.start_message())

    def _unregister(self, processor: Peer) -> None:
        for name, peer in list(self.processors.items()):
            if peer is processor:
                del self.processors[name]

    def _send(self, peers: Iterable[Peer], payload: bytes) -> None:
        """Send a control message; those of a whole replay, and some more, may wait for a peer."""
        frame = text_frame(payload)
        replayed = 2 * len(self.objects.live)
        reached = 0
        for peer in list(peers):
            peer.send_control(frame, replayed=replayed)
            reached += 1
        if reached and self._logging.allows(self._clock.monotonic()):
            logger.info("sent", extra={"peers": reached, "text": messages.shorten(payload)})


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _decoded(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()
