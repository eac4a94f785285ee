"""What stands in the field: a camera and an alarm, plain Socket.IO clients of any edge."""
