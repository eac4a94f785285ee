"""Messages of the image services: generated modules, and a parser that copies no pixels."""
