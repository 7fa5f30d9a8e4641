"""PNG: compressed notes and profiles that Pillow refuses for their size, left out."""

import struct
from io import BytesIO
from typing import IO

_NOTES = {b"zTXt", b"iTXt", b"iCCP"}


def without_notes(stream: IO[bytes]) -> BytesIO:
    """The same picture without compressed text and profile chunks; the rest byte for byte."""
    stream.seek(0)
    data, kept, place = stream.read(), [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        if data[place + 4 : place + 8] not in _NOTES:
            kept.append(data[place:end])
        place = end
    return BytesIO(data[:8] + b"".join(kept))
