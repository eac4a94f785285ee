"""Control plane: gives every StreamSession its pod and writes what it measured to its status."""
