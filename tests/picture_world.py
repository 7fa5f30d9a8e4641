"""Picture files made by hand, and what every one of them comes to."""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from maclip_lab.images import STATUSES


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(picture) -> np.ndarray:
    assert picture.status == "ok", picture.message
    assert picture.image.mode == "RGB"
    assert picture.image.size == (picture.width, picture.height)
    return np.asarray(picture.image)


def refused(picture, status: str) -> str:
    assert picture.status == status, picture
    assert picture.status in STATUSES
    assert picture.image is None
    assert picture.message
    return picture.message


def chunk(kind: bytes, body: bytes, harm: int = 0) -> bytes:
    """A chunk of a PNG, its checksum false where there is harm."""
    checksum = zlib.crc32(kind + body) ^ harm
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(bits: int, colour: int, row: bytes, *chunks: bytes, width=4, height=1) -> bytes:
    """A PNG of a row of packed samples."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + end


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def header_of(width: int, height: int) -> bytes:
    """A PNG that promises a picture in a few bytes."""
    return png(8, 2, bytes(1000), width=width, height=height)
