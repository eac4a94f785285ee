"""Takes every client's connection, whatever the protocol, to the pod of its session."""
