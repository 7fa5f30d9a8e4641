"""What a file's own structure says: which format it is, whether it is whole, what it would lose.

A decoder that returns pixels does not say that the file was sound. Here a PNG's checksums and a
JPEG's end are looked at, and TIFFs whose tags the decoder does not honour are refused by the tag.
"""

import re
import struct
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import IO

from PIL import Image, ImageFile
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, MAX_TEXT_MEMORY, PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from maclip_lab import tiff

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".jpf", ".avif"}
)
HEIF = find_spec("pillow_heif") is not None  # Pillow's plugin, read where it is installed
if HEIF:
    FORMATS += ("HEIF",)
    EXTENSIONS |= {".heic", ".heif", ".hif"}
UNSIGNED = frozenset({".tga", ".targa", ".pcx", ".ico", ".dds", ".sgi", ".svg", ".eps", ".wmf"})
"""Suffixes of pictures that are not read and whose first bytes do not tell them."""

HEADER = 512  # bytes that are enough to name a file

_HEIC, _RAW, _PAGE = "an HEIC picture", "a camera raw file", "a web page or XML, not a picture"
_BRANDS = {b"hei": _HEIC, b"hev": _HEIC, b"mif": _HEIC, b"msf": _HEIC}
_BRANDS |= {b"avi": "an AVIF picture", b"crx": _RAW}
_PICTURES = {
    **{b"\xff\xd8\xff": "a JPEG", b"\x89PNG": "a PNG", b"GIF8": "a GIF"},
    **{b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"II+\0": "a TIFF", b"MM\0+": "a TIFF"},
    **{b"\0\0\0\x0cjP": "a JPEG 2000", b"\xff\x4f\xff\x51": "a JPEG 2000"},
    **{b"FUJIFILM": _RAW, b"IIRO": _RAW, b"IIRS": _RAW, b"MMOR": _RAW, b"IIU\0": _RAW},
    **{b"8BPS": "a Photoshop file", b"v/1\1": "an OpenEXR file", b"#?RADIANCE": "a Radiance file"},
    **{b"\xff\x0a": "a JPEG XL", b"\0\0\0\x0cJXL ": "a JPEG XL", b"SIMPLE  =": "a FITS file"},
}
_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer in the picture's place (run: git lfs pull)",
    b"/annex/objects": "a git-annex pointer in the picture's place (run: git annex get)",
    **{b"<!DOCTYPE": _PAGE, b"<HTML": _PAGE, b"<?XML": _PAGE, b"<SVG": _PAGE, b"<!--": _PAGE},
    **{b"<HEAD": _PAGE, b"<BODY": _PAGE, b"<ERROR": _PAGE, b"<SCRIPT": _PAGE},
    **{b"\x1aE\xdf\xa3": "a video (WebM or Matroska)", b"\0\0\1\xba": "a video (MPEG)"},
    **{b"%PDF": "a PDF", b"PK\3\4": "a ZIP archive", b"\x1f\x8b": "a gzip archive"},
    **{b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7-Zip archive", b"FLV\1": "a video (Flash)"},
    **{b"\x93NUMPY": "a NumPy array", b"\x89HDF": "an HDF5 file", b"SQLite": "a database"},
}
_CONTAINERS = {b"WEBP": "a WebP", b"AVI ": "a video (AVI)", b"WAVE": "a sound (WAV)"}


class Refused(Exception):
    """Ends the decoding of one picture with a status; never leaves `maclip_lab.images`."""

    def __init__(self, status: str, message: str, size: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.status, self.size = status, size


def named(header: bytes) -> str:
    """A name for a file of these first bytes, in words that follow "is"."""
    if header[4:8] == b"ftyp":
        return _BRANDS.get(header[8:11], f"a video or other media file ({header[8:12]!r})")
    if header.startswith(b"RIFF") and header[8:12] in _CONTAINERS:
        return _CONTAINERS[header[8:12]]
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, name in (_PICTURES | _OTHERS).items():
        if header.startswith(start) or text.upper().startswith(start.upper()):
            return f"{name}: it begins with {header[:16]!r}" if name is _PAGE else name
    return f"a file that begins with {header[:16]!r}"


def is_picture(header: bytes) -> bool:
    """Whether a file of these first bytes is a picture of any kind."""
    if header[4:8] == b"ftyp":
        return header[8:11] in _BRANDS
    bitmap = header.startswith(b"BM") and header[6:10] == b"\0\0\0\0"
    webp = header.startswith(b"RIFF") and header[8:12] == b"WEBP"
    return bitmap or webp or any(header.startswith(start) for start in _PICTURES)


def open_picture(data: bytes, name: str) -> Image.Image:
    """A file's header read and its structure checked, by its name in messages; not yet decoded.

    ``Image.open`` would do, but for its decompression-bomb warning: it obeys a process-wide
    number instead of our own, and silencing it is not safe in threads.
    """
    kind, factory = _plugin(data[:HEADER])
    if not factory:
        what = named(data[:HEADER])
        hint = "; pillow-heif, where it is installed, reads it" if what == _HEIC else ""
        advice = f"accepted are {', '.join(FORMATS)}. Convert it, PNG loses nothing{hint}"
        raise Refused("unsupported", f"{name} is {what}; {advice}")
    if kind == "TIFF" and b"+" in data[2:4]:
        raise Refused("unsupported", f"{name}: {tiff.BIG}")
    info: dict[str, object] = {}
    if kind == "PNG":
        data, info = _checked_png(data, name)
    try:
        image: Image.Image = factory(BytesIO(data), "")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused("too_large", f"{name}: {error}") from error
    except Exception as error:  # parsers of damaged bytes raise anything
        foreign = tiff.why_unknown(data) if kind == "TIFF" else None
        if foreign or str(error).lower().startswith(("unsupported", "cannot handle")):
            why = foreign or f"{kind}: {error}; save it as 8-bit PNG"
            raise Refused("unsupported", f"{name}: {why}") from error
        raise Refused("decode_error", f"{name}: damaged {kind} header: {error}") from error
    if kind == "JPEG" and not ImageFile.LOAD_TRUNCATED_IMAGES and not _jpeg_ends(data):
        reason = "cut short: the JPEG has no end marker after its last scan"
        raise Refused("decode_error", f"{name}: {reason}", image.size)
    if kind == "JPEG2000":
        info = _said_by_jpeg_2000(data)
    elif kind in ("AVIF", "HEIF") and (place := data.find(b"colrnclx")) >= 0:
        info = {"nclx": struct.unpack_from(">HH", data.ljust(place + 12), place + 8)}
    image.info.update(info)
    return image


def size_in_header(stream: IO[bytes]) -> tuple[int, int]:
    """Width and height as a file's header says, 0 where it does not say."""
    header = stream.read(HEADER)
    if header.startswith(b"\x89PNG"):
        return struct.unpack_from(">II", header.ljust(24, b"\0"), 16)
    stream.seek(0)
    try:
        factory = _plugin(header)[1]
        return factory(stream, "").size if factory else (0, 0)
    except Exception:  # parsers of damaged bytes raise anything; reading it will say what is wrong
        return 0, 0


def refuse_what_comes_out_wrong(image: Image.Image) -> None:
    """Refuses an opened picture whose pixels would be wrong, or not the photograph."""
    if isinstance(image, TiffImageFile):
        if reason := tiff.refusal(image):
            raise Refused("unsupported", reason, image.size)
        # A TIFF repeats the process-wide bomb check when it makes its canvas; ours has been made.
        limit = Image.MAX_IMAGE_PIXELS or image.width * image.height
        if image.tile and image.width * image.height > limit:
            image.im = Image.new(image.mode, image._tile_size).im
    if isinstance(image, PngImageFile):
        key, stored = image.info.get("transparency"), {str(tile.args) for tile in image.tile}
        if isinstance(key, int) and stored & {"L;2", "L;4"}:
            bits = "2" if "L;2" in stored else "4"
            reason = f"a PNG of {bits}-bit grey in which one level is transparent is not read"
            raise Refused("unsupported", f"{reason}; save it as 8-bit PNG", image.size)
        if isinstance(key, tuple) and "RGB;16B" in stored:  # the pixels lose their lower half
            image.info["transparency"] = tuple(level >> 8 for level in key)


def _plugin(header: bytes) -> tuple[str, Callable[[IO[bytes], str], Image.Image] | None]:
    """The accepted format of these first bytes and its reader, None where there is none."""
    Image.init()
    if HEIF and "HEIF" not in Image.OPEN:
        import_module("pillow_heif").register_heif_opener()
    for kind in FORMATS:
        factory, accept = Image.OPEN.get(kind, (None, None))
        verdict = accept(header[:16]) if accept else False
        if factory and verdict and not isinstance(verdict, str):
            return kind, factory
    return "", None


_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def _jpeg_ends(data: bytes) -> bool:
    """Whether the first picture of a JPEG has its end marker; what follows is padding or others."""
    place = 2
    while marker := _MARKER.search(data, place):
        place, kind = marker.end(), data[marker.end() - 1]
        if kind == 0xD9:
            return True
        if kind >= 0xC0:  # a segment, which says its length: previews in it have ends of their own
            place += int.from_bytes(data[place : place + 2])
    return False


_LEAST = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"acTL": 8, b"cICP": 4}


def _checked_png(data: bytes, name: str) -> tuple[bytes, dict[str, object]]:
    """A PNG without what is broken or large beside its pixels; the flags of that, and its cICP."""
    size = struct.unpack_from(">II", data.ljust(24), 16)
    view, flags, info = memoryview(data), set[str](), dict[str, object]()
    kept: list[bytes | memoryview] = [view[:8]]
    place, notes, kind = 8, 0, b""
    while place + 12 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, place)
        body, end = view[place + 8 : place + 8 + length], place + 12 + length
        if end > len(data):
            break
        intact = zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(view[end - 4 : end])
        if not intact and not kind[0] & 32:  # a critical chunk
            reason = f"damaged: the checksum of {kind!r} at byte {place} is false"
            raise Refused("decode_error", f"{name}: {reason}", size)
        unpacked = _unpacked(kind, body)
        if kind != b"iCCP":
            notes += max(unpacked, 0)
        readable = 0 <= unpacked <= MAX_TEXT_CHUNK and length >= _LEAST.get(kind, 0)
        if intact and readable and not (unpacked and notes > MAX_TEXT_MEMORY):
            kept.append(view[place:end])
            if kind == b"cICP":
                info.setdefault("cicp", tuple(body[:4]))
        else:
            if kind == b"iCCP":
                flags.add("icc_broken")
            if kind != b"iCCP" or not intact:
                flags.add("notes_dropped")
        place = end
    if kind != b"IEND" and not ImageFile.LOAD_TRUNCATED_IMAGES:
        raise Refused("decode_error", f"{name}: cut short: the PNG has no end chunk", size)
    kept.append(view[place:])
    return b"".join(kept) if flags else data, {"dropped": tuple(sorted(flags)), **info}


def _unpacked(kind: bytes, body: memoryview) -> int:
    """Bytes that a note holds, as far as they are of interest; -1 for one that cannot be read."""
    if kind not in (b"tEXt", b"iTXt", b"zTXt", b"iCCP"):
        return 0
    packed = bytes(body).partition(b"\0")[2]
    if kind == b"tEXt" or (kind == b"iTXt" and packed[:1] != b"\1"):
        return len(body)
    if kind != b"iTXt" and packed[:1] != b"\0":
        return -1
    packed = packed[2:].split(b"\0", 2)[-1] if kind == b"iTXt" else packed[1:]
    try:
        return len(zlib.decompressobj().decompress(packed, MAX_TEXT_CHUNK + 1))
    except zlib.error:
        return -1


def _said_by_jpeg_2000(data: bytes) -> dict[str, object]:
    """Bits of a sample, and what the boxes before the codestream say of colour."""
    info: dict[str, object] = {}
    if 0 <= (place := data.find(b"\xff\x4f\xff\x51")) < len(data) - 42:
        info["bits"] = (data[place + 42] & 127) + 1
    colour = data.find(b"colr", 0, max(place, 0))
    if colour >= 4:
        length, method = struct.unpack_from(">I", data, colour - 4)[0], data[colour + 4]
        if method in (2, 3):
            info["icc_profile"] = data[colour + 7 : colour - 4 + length]
        elif data[colour + 7 : colour + 11] not in (b"\0\0\0\x10", b"\0\0\0\x11", b"\0\0\0\x12"):
            info["untold"] = True  # sRGB, grey and sYCC have the numbers 16 to 18
    return info
