"""Where frames come from that no client pushes raw: files, cameras, WebRTC."""
