"""A camera by GStreamer's RTSP server: `python3 gstreamer_camera.py HOST PORT`, path `/live`.

Run by Debian's Python, which has the bindings; nothing of podstream is in it.
"""

import sys

import gi  # type: ignore[import-not-found]  # Debian's, not in .venv

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

_PIPELINE = (
    "( videotestsrc is-live=true pattern=ball "
    "! video/x-raw,width=320,height=240,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    """Serve until killed; says so once it does."""
    host, port = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(host)
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(_PIPELINE)
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"cannot listen at {host}:{port}")
    print("serving", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
