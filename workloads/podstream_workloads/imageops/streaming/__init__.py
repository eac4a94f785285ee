"""Operations on the frames of a stream: planned for its size, and applied in a process apart."""
