"""A viewer's peer connection: pictures go out, nothing comes in."""

from collections.abc import Callable

from aiortc import RTCRtpCodecCapability, RTCRtpSender

from podstream_core.api import Codec
from podstream_workloads.media import aiortc_private
from podstream_workloads.media.peer import ClientPeer, PeerEvents
from podstream_workloads.stream.webrtc.programme import Forwarder, PictureTrack, Programme


class StreamViewer(ClientPeer):
    """Looks on from the moment of its connection until it goes."""

    def __init__(self, *, events: PeerEvents, programme: Callable[[Codec], Programme]) -> None:
        super().__init__(events)
        self._programme_of = programme
        self._programme: Programme | None = None
        self._track = PictureTrack()
        self._sender = self._peer.addTrack(self._track)
        aiortc_private.use_encoder(self._sender, Forwarder())
        self._transceiver = self._peer.getTransceivers()[0]
        self._transceiver.setCodecPreferences(_preferences())

    def _connected(self) -> None:
        name = aiortc_private.negotiated_codec(self._transceiver)
        if self._programme is not None or name is None:
            return
        programme = self._programme_of(Codec(name.upper()))
        aiortc_private.on_key_frame_request(self._sender, programme.want_key)
        programme.add(self._track)
        self._programme = programme

    def _stop(self) -> None:
        if self._programme is not None:
            self._programme.remove(self._track)
        self._track.stop()


def _preferences() -> list[RTCRtpCodecCapability]:
    """Aiortc's codecs, H264 first; repair formats stay beside their codec."""
    known = RTCRtpSender.getCapabilities("video").codecs
    return sorted(known, key=lambda item: item.mimeType.upper() != "VIDEO/H264")
