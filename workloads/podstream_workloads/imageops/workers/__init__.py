"""Worker processes: pixels are touched here and nowhere else.

A worker gets its input and leaves its output in shared memory that its parent has made; it can
open nothing by itself. One that dies or is ended takes the request with it that it worked on.
"""
