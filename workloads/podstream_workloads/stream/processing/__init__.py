"""Operations on a stream's frames, in a process of their own behind a one-slot box."""
