"""What a file's structure says: its format, whether it is whole, what a decoder would get wrong."""

import re
import struct
import tomllib
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import IO

from PIL import Image, ImageFile
from PIL.ExifTags import Base as Tag
from PIL.PngImagePlugin import MAX_TEXT_CHUNK
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from maclip_lab.files.identity import data_path

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

_ADVICE = "save the photograph by itself as 8- or 16-bit RGB or grey, PNG loses nothing"
_STRANGE = ("unsupported", "cannot handle", "unknown pixel mode", "unknown data organization")

_SIGNATURES: dict[str, dict[bytes, str]] = {
    kind: {start.encode("latin-1"): name for name, starts in names.items() for start in starts}
    for kind, names in tomllib.loads(data_path("signatures.toml").read_text("utf-8")).items()
}
"""First bytes and what a message calls such a file, as data/signatures.toml has them."""

PICTURES = {*_SIGNATURES["pictures"].values(), *_SIGNATURES["ftyp"].values()}


class Refused(Exception):
    """Ends the decoding of one picture with a status; never leaves `maclip_lab.images`."""

    def __init__(self, status: str, message: str, size: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.status, self.size = status, size


def named(header: bytes) -> str:
    """What a file of these first bytes is, in words that follow "is"."""
    if header[4:8] == b"ftyp":
        return _SIGNATURES["ftyp"].get(header[8:11], "a video or other media file")
    text = header.removeprefix(b"\xef\xbb\xbf").lstrip()
    start = header[8:] if header.startswith(b"RIFF") else text
    start = start.upper() if start.startswith(b"<") else start
    names = _SIGNATURES["pictures"] | _SIGNATURES["others"]
    return next((names[sign] for sign in names if start.startswith(sign)), "a file")


def is_16bit(image: Image.Image) -> bool:
    """Whether the samples of an image, not yet decoded, have more than 8 bits."""
    if image.mode == "I" or image.mode.startswith("I;16") or image.info.get("bits", 8) > 8:
        return True
    # Colour files of 16 bit arrive as 8-bit modes; only the arguments of their tiles tell.
    arguments = _tile_arguments(image)
    wide_ppm = image.format == "PPM" and any(isinstance(a, int) and a > 255 for a in arguments)
    return wide_ppm or any(";16" in str(argument) for argument in arguments)


def open_picture(data: bytes) -> Image.Image:
    """A file's header read and its structure checked; not yet decoded.

    ``Image.open`` warns by a process-wide number of pixels, which threads cannot silence safely.
    """
    if not data:
        raise Refused("empty", "zero bytes")
    kind, factory = _plugin(data[:HEADER])
    if not factory:
        what = f"{named(data[:HEADER])}: it begins with {data[:16]!r}"
        hint = "; pillow-heif, where it is installed, reads it" if "HEIC" in what else ""
        advice = f"accepted are {', '.join(FORMATS)}. Convert it, PNG loses nothing{hint}"
        raise Refused("unsupported", f"this is {what}; {advice}")
    info: dict[str, object] = {}
    if kind == "PNG":
        data, info = _checked_png(data)
    try:
        image: Image.Image = factory(BytesIO(data), "")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused("too_large", str(error)) from error
    except Exception as error:  # parsers of damaged bytes raise anything
        if isinstance(error.__cause__, KeyError) or str(error).lower().startswith(_STRANGE):
            reason = f"a {kind} of this kind is not read ({error}); {_ADVICE}"
            raise Refused("unsupported", reason) from error
        raise Refused("decode_error", f"damaged {kind} header: {error}") from error
    if kind == "JPEG" and not ImageFile.LOAD_TRUNCATED_IMAGES and not _jpeg_ends(data):
        reason = "cut short: the JPEG has no end marker after its last scan"
        raise Refused("decode_error", reason, image.size)
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
    factory = _plugin(header)[1]
    return factory(stream, "").size if factory else (0, 0)


def refuse_what_comes_out_wrong(image: Image.Image) -> None:
    """Refuses an opened picture whose pixels would be wrong, or not the photograph."""
    if isinstance(image, TiffImageFile):
        if reason := _oddity_of_tiff(image):
            raise Refused("unsupported", f"{reason} is not read; {_ADVICE}", image.size)
        # A TIFF repeats the process-wide bomb check when it makes its canvas; ours has been made.
        limit = Image.MAX_IMAGE_PIXELS or image.width * image.height
        if image.tile and image.width * image.height > limit:
            image.im = Image.new(image.mode, image._tile_size).im
    odd_depth = is_16bit(image) or {"L;2", "L;4"} & set(map(str, _tile_arguments(image)))
    if odd_depth and isinstance(image.info.get("transparency"), int | tuple):
        reason = "one transparent colour is not read in samples of 2, 4 or 16 bits"
        raise Refused("unsupported", f"{reason}; save it as 8-bit PNG", image.size)


def _plugin(header: bytes) -> tuple[str, Callable[[IO[bytes], str], Image.Image] | None]:
    """The accepted format of these first bytes and its reader, None where there is none."""
    Image.init()
    if HEIF and "HEIF" not in Image.OPEN:
        import_module("pillow_heif").register_heif_opener()
    for kind in () if header.startswith((b"II+\0", b"MM\0+")) else FORMATS:
        factory, accept = Image.OPEN.get(kind, (None, None))
        verdict = accept(header[:16]) if accept else False
        if factory and verdict and not isinstance(verdict, str):
            return kind, factory
    return "", None


def _tile_arguments(image: Image.Image) -> list[object]:
    """What an image that is not yet decoded tells its decoder, its raw mode among it."""
    arguments: list[object] = []
    for tile in getattr(image, "tile", None) or ():
        arguments += tile[3] if isinstance(tile[3], tuple) else [tile[3]]
    return arguments


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
_NOTES = (b"tEXt", b"zTXt", b"iTXt")
_TURNING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # notes that say what is up


def _checked_png(data: bytes) -> tuple[bytes, dict[str, object]]:
    """A PNG without notes and what is broken beside its pixels; flags of that, and its cICP."""
    size, view = struct.unpack_from(">II", data.ljust(24), 16), memoryview(data)
    kept, flags, info = [view[:8]], set[str](), dict[str, object]()
    place, kind = 8, b""
    while place + 12 <= len(data) and kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, place)
        body, end = view[place + 8 : place + 8 + length], place + 12 + length
        if end > len(data):
            break
        intact = zlib.crc32(view[place + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])
        if not intact and not kind[0] & 32:  # a critical chunk
            reason = f"damaged: the checksum of {kind!r} at byte {place} is false"
            raise Refused("decode_error", reason, size)
        if not intact or not _is_readable(kind, body):
            flags.add("icc_broken" if kind == b"iCCP" else "notes_dropped")
        elif kind not in _NOTES or bytes(body[:32]).startswith(_TURNING):
            kept.append(view[place:end])
            if kind == b"cICP":
                info.setdefault("cicp", tuple(body[:4]))
        place = end
    if kind != b"IEND" and not ImageFile.LOAD_TRUNCATED_IMAGES:
        raise Refused("decode_error", "cut short: the PNG has no end chunk", size)
    kept.append(view[place:])
    whole = sum(map(len, kept)) == len(data)  # a large file is not copied for nothing
    return data if whole else b"".join(kept), {"dropped": tuple(sorted(flags)), **info}


def _is_readable(kind: bytes, body: memoryview) -> bool:
    """Whether a chunk is as long as it must be and unpacks, a note to a megabyte at most."""
    packed = bytes(body).partition(b"\0")[2] if kind in (b"zTXt", b"iTXt", b"iCCP") else b""
    if kind == b"iTXt" and packed[:1] == b"\1":
        packed = packed[1:2] + packed[2:].split(b"\0", 2)[-1]
    elif kind not in (b"zTXt", b"iCCP"):
        return len(body) >= _LEAST.get(kind, 0) and (kind not in _NOTES or len(body) <= 2**20)
    try:
        length = len(zlib.decompressobj().decompress(packed[1:], MAX_TEXT_CHUNK + 1))
    except zlib.error:
        return False
    return packed[:1] == b"\0" and length <= MAX_TEXT_CHUNK


def _said_by_jpeg_2000(data: bytes) -> dict[str, object]:
    """Bits of a sample, and whether the boxes name other colours, which are not converted."""
    codestream = max(data.find(b"\xff\x4f\xff\x51"), 0)
    boxes, depth = data[:codestream], data[codestream + 42 : codestream + 43]
    plain = re.search(rb"colr\x01..\0\0\0[\x10-\x12]", boxes, re.DOTALL)  # sRGB, grey and sYCC
    info: dict[str, object] = {"untold": b"colr" in boxes and not plain}
    return info | {"bits": (depth[0] & 127) + 1} if depth else info


_RAW_PAGE = "as in camera raw, where the first page is a preview or a mask"
_PART = "scale the samples to the whole range"
_DEPTHS = (1023, 4095, 16383)  # largest values of 10, 12 and 14 bits


def _oddity_of_tiff(image: TiffImageFile) -> str:
    """What a TIFF's tags say and its pixels would not follow; empty if they are right."""
    tags = image.tag_v2
    photometric = tags.get(Tag.PhotometricInterpretation)
    bits = _largest(tags, Tag.BitsPerSample, 1)
    whole = 2**bits - 1
    low, high = _largest(tags, Tag.SMinSampleValue, 0), _largest(tags, Tag.SMaxSampleValue, whole)
    scaled = photometric in (0, 1, 2, 5) and bits <= 16  # samples are amounts of light or ink
    signed = _largest(tags, Tag.SampleFormat, 1) == 2 and bits < 32
    deep = scaled and bits == 16 and _largest(tags, Tag.MaxSampleValue, 0) in _DEPTHS
    mapped = image.mode in ("P", "PA") and _largest(tags, Tag.ColorMap, whole) < 256
    oddities = [
        (Tag.NewSubfileType, tags.get(Tag.NewSubfileType, 0) & 5, _RAW_PAGE),
        (Tag.SubfileType, tags.get(Tag.SubfileType) == 2, _RAW_PAGE),
        (Tag.SampleFormat, signed, "signed: black is unknown"),
        (Tag.BitsPerSample, bits == 12, _PART),
        (Tag.PhotometricInterpretation, photometric == 0 and bits == 16, "white is 0 in 16 bits"),
        (Tag.PlanarConfiguration, tags.get(Tag.PlanarConfiguration) == 2, "planes apart"),
        (Tag.InkSet, photometric == 5 and tags.get(Tag.InkSet, 1) != 1, "not CMYK"),
        (Tag.SMinSampleValue, scaled and 0 < low < whole, _PART),
        (Tag.SMaxSampleValue, scaled and 0 < high < whole, _PART),
        (Tag.MaxSampleValue, deep, _PART),
        (Tag.ColorMap, mapped, "of 8 bits, not 16"),
        (Tag.YCbCrSubSampling, photometric == 6 and not image.use_load_libtiff, "uncompressed"),
    ]
    for tag, odd, reason in oddities:
        if odd:
            value = "" if tag == Tag.ColorMap else f" {tags.get(tag, 'unsaid')}"
            return f"TIFF with {tag.name}{value} ({reason})"
    return ""


def _largest(tags: ImageFileDirectory_v2, tag: int, absent: int) -> int:
    value = tags.get(tag, absent)
    return int(max(value) if isinstance(value, tuple) else value)
