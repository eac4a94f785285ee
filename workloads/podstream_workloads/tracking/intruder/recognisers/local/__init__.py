"""Recognition against an own gallery, without any network."""
