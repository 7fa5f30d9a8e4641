"""PNG: transparent colours at the depth of the pixels; notes that Pillow refuses, left out."""

import struct
import zlib
from io import BytesIO
from typing import IO

from PIL.PngImagePlugin import MAX_TEXT_CHUNK, PngImageFile


def put_key_right(image: PngImageFile) -> None:
    """Before decoding: the transparent colour as the pixels will be, which Pillow leaves as stored.

    Grey of 2 and 4 bit is spread over 8, and colours of 16 bit lose their lower half.
    """
    key, stored = image.info.get("transparency"), {str(tile.args) for tile in image.tile}
    if isinstance(key, int) and stored & {"L;2", "L;4"}:
        image.info["transparency"] = key * (85 if "L;2" in stored else 17)
    if isinstance(key, tuple) and "RGB;16B" in stored:
        image.info["transparency"] = tuple(level >> 8 for level in key)


def without_large_notes(stream: IO[bytes]) -> tuple[BytesIO, tuple[str, ...]]:
    """The same picture, and the flags of what was left out; the rest is kept byte for byte.

    Returns:
        The file, and ``notes_dropped`` for text, ``icc_broken`` for a profile.
    """
    stream.seek(0)
    data, kept, flags, place = stream.read(), [], set(), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        kind = data[place + 4 : place + 8]
        if _is_large(kind, data[place + 8 : end - 4]):
            flags.add("icc_broken" if kind == b"iCCP" else "notes_dropped")
        else:
            kept.append(data[place:end])
        place = end
    return BytesIO(data[:8] + b"".join(kept)), tuple(sorted(flags))


def _is_large(kind: bytes, body: bytes) -> bool:
    """Whether a chunk holds a compressed note of more bytes than Pillow unpacks."""
    packed = body.partition(b"\0")[2]
    if kind == b"iTXt" and packed[:1] == b"\1":
        packed = packed[2:].split(b"\0", 2)[-1]
    elif kind in (b"zTXt", b"iCCP"):
        packed = packed[1:]
    else:
        return False
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_TEXT_CHUNK + 1)) > MAX_TEXT_CHUNK
    except zlib.error:  # which Pillow passes over
        return False
