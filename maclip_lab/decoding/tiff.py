"""TIFF: tags that Pillow's decoder does not honour, put right or refused.

A refusal is a message that names the tag; the caller makes a status of it.
"""

import struct
from collections.abc import Iterable
from typing import IO

from PIL import Image, ImagePalette
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2, TiffImageFile

BITS, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT = 258, 262, 284, 339
_WIDTH, _HEIGHT, _COMPRESSION, _COLOUR_MAP, _SUB_IMAGES = 256, 257, 259, 320, 330
_FILL_ORDER, _EXTRA = 266, 338
_SUBFILE, _OLD_SUBFILE, _STRIP_BYTES, _TILE_BYTES = 254, 255, 279, 325
_MAX_SAMPLE, _SMALLEST, _LARGEST = 281, 340, 341
_COEFFICIENTS, _SUBSAMPLING, _BLACK_AND_WHITE = 529, 530, 532
_WHITE_IS_ZERO, _YCBCR = 0, 6
_SCALED = {0, 1, 2, 5}  # where a sample is an amount of light or ink
_IFD8 = 18
_PHOTOMETRICS = {
    **{0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"},
    **{4: "mask", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "raw sensor (CFA)"},
    **{32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating", 4: "untyped", 5: "complex", 6: "complex"}
_ADVICE = "save it as 8- or 16-bit RGB or grey, PNG loses nothing"


def why_unknown(stream: IO[bytes]) -> str | None:
    """What a sound header announces that the decoder has no reading for; None where damaged."""
    try:
        stream.seek(0)
        if stream.read(4) == b"MM\0+":
            return f"a BigTIFF whose bytes run from the largest is not read; {_ADVICE}"
        tags = _directory(stream)
        bits, photometric = tags[BITS], tags[PHOTOMETRIC]
        formats = tags.get(SAMPLE_FORMAT, (1,))
        if not tags[_WIDTH] or not tags[_HEIGHT] or not all(1 <= bit <= 64 for bit in bits):
            return None
        kind, number = _PHOTOMETRICS[photometric], _FORMATS[formats[0]]
    except Exception:  # parsers of damaged bytes raise anything
        return None
    compression = tags.get(_COMPRESSION, 1)
    packed = "" if compression in COMPRESSION_INFO else f", Compression {compression}"
    return (
        f"TIFF with BitsPerSample {tuple(bits)}, SampleFormat {formats[0]} ({number}), "
        f"PhotometricInterpretation {photometric} ({kind}){packed} is not read; {_ADVICE}"
    )


def refusal(image: TiffImageFile) -> str | None:
    """Why the first page's pixels would be wrong, or not the photograph; None if they are right."""
    tags = image.tag_v2
    if tags.get(_SUBFILE, 0) & 5 or tags.get(_OLD_SUBFILE, 1) == 2:
        return (
            "NewSubfileType says the first page is a thumbnail or mask of another picture in the "
            "file, as in camera raw; develop it and save the photograph by itself"
        )
    if _has_larger_sub_image(image):
        return (
            "SubIFDs holds a larger picture than the first page, as in camera raw; develop it "
            "and save the photograph by itself"
        )
    bits = tags.get(BITS, (1,))
    if max(tags.get(SAMPLE_FORMAT, (1,))) == 2 and max(bits) < 32:
        return f"SampleFormat 2: signed {max(bits)}-bit samples, whose black is unknown; {_ADVICE}"
    if tags.get(PLANAR, 1) == 2 and not _planes_are_read(image):
        return f"PlanarConfiguration 2 is not read with {_kind(tags)}; {_ADVICE}"
    if len(bits) > 1 or bits[0] <= 8:
        low, high = _stated_span(tags)
        if (low, high) != (0, 2 ** max(bits) - 1) and tags.get(PHOTOMETRIC) in _SCALED:
            return (
                f"SMinSampleValue {low} and SMaxSampleValue {high} of {max(bits)}-bit samples are "
                f"not read; {_ADVICE}, scaled to the whole range"
            )
    if tags.get(PHOTOMETRIC) == _YCBCR and not image.use_load_libtiff and len(bits) == 3:
        return _ycbcr_refusal(image)
    return None


def put_right(image: TiffImageFile) -> None:
    """Before decoding: 16-bit planes apart, a colour map that runs to 255, a large canvas."""
    tags = image.tag_v2
    colours = tags.get(_COLOUR_MAP)
    if image.mode in ("P", "PA") and colours and max(colours) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))
    wide = max(tags.get(BITS, (1,))) == 16
    if tags.get(PLANAR, 1) == 2 and not image.use_load_libtiff and image.tile and wide:
        order = "L" if tags.prefix == b"II" else "B"
        tiles = []
        for tile in image.tile:
            plane, *rest = tuple(tile.args or ())
            tiles.append(tile._replace(args=(_plane_mode(image.mode, plane, order), *rest)))
        image.tile = tiles
    # A TIFF repeats the process-wide bomb check when it makes its canvas; ours has been made.
    limit = Image.MAX_IMAGE_PIXELS or image.width * image.height
    if image.tile and image.width * image.height > limit:
        image.im = Image.new(image.mode, image._tile_size).im


def span(image: TiffImageFile, highest: int) -> tuple[int, int]:
    """The grey samples that are black and white, of more than 8 bit: 12 arrive in 16 unscaled.

    Where the largest sample of all lies above what a tag says, the tag is not true.
    """
    low, high = _stated_span(image.tag_v2)
    return (low, high) if highest <= high <= 65535 else (0, 65535)


def white_is_zero(image: TiffImageFile) -> bool:
    """Whether grey of 16 bit, which arrives as stored, is a negative."""
    return image.tag_v2.get(PHOTOMETRIC) == _WHITE_IS_ZERO


def _stated_span(tags: ImageFileDirectory_v2) -> tuple[int, int]:
    """The range of samples by the tags; MaxSampleValue may be what occurs, unless it is a depth."""
    whole = 2 ** max(tags.get(BITS, (1,))) - 1
    try:
        low, high = (
            int(max(_several(tags.get(tag, value))))
            for tag, value in ((_SMALLEST, 0), (_LARGEST, whole))
        )
        depth = int(max(_several(tags.get(_MAX_SAMPLE, whole))))
    except (TypeError, ValueError):  # a garbled tag
        return 0, whole
    if _LARGEST not in tags and whole == 65535 and depth in (1023, 4095, 16383):
        high = depth
    return (low, high) if 0 <= low < high <= whole else (0, whole)


def _several(value: object) -> Iterable[float]:
    return value if isinstance(value, tuple) else (value,)


def _planes_are_read(image: TiffImageFile) -> bool:
    # Pillow takes the n-th letter of the mode for the n-th plane: "L;4" and "L;I" lose their end.
    tags = image.tag_v2
    if image.use_load_libtiff:
        return image.mode != "LAB"
    kind = (tags.get(PHOTOMETRIC), max(tags.get(BITS, (1,))))
    plain = kind in {(1, 8), (2, 8), (3, 8), (5, 8), (1, 16), (2, 16)}
    return plain and tags.get(_FILL_ORDER, 1) == 1 and 1 not in tags.get(_EXTRA, ())


def _kind(tags: ImageFileDirectory_v2) -> str:
    photometric, bits = tags.get(PHOTOMETRIC), tuple(tags.get(BITS, (1,)))
    return f"BitsPerSample {bits}, PhotometricInterpretation {photometric}"


def _plane_mode(mode: str, plane: str, order: str) -> str:
    if mode.startswith("I;16"):
        return mode
    return f"{plane};16{order}"


def _has_larger_sub_image(image: TiffImageFile) -> bool:
    if image.fp is None:
        return False
    place = image.fp.tell()
    try:
        for offset in _sub_images(image.fp, image.tag_v2):
            tags = _directory(image.fp, offset)
            if tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0) > image.width * image.height:
                return True
    except Exception:  # a broken pointer says nothing about the first page
        return False
    finally:
        image.fp.seek(place)
    return False


def _directory(stream: IO[bytes], offset: int | None = None) -> ImageFileDirectory_v2:
    """The tags at a place of a file, by default the first page's."""
    stream.seek(0)
    header = stream.read(8)
    tags = ImageFileDirectory_v2(header + stream.read(8) if header[2] == 43 else header)
    stream.seek(tags.next if offset is None else offset)
    tags.load(stream)
    return tags


def _sub_images(stream: IO[bytes], tags: ImageFileDirectory_v2) -> tuple[int, ...]:
    """Where SubIFDs points; Pillow passes over the kind of offset that only BigTIFF has."""
    stated = tuple(_several(tags.get(_SUB_IMAGES, ())))
    stream.seek(0)
    header = stream.read(16)
    if stated or header[:4] != b"II+\0":
        return stated  # type: ignore[return-value]
    stream.seek(struct.unpack_from("<Q", header, 8)[0])
    (entries,) = struct.unpack("<Q", stream.read(8))
    for _ in range(min(entries, 4096)):
        tag, kind, count, value = struct.unpack("<HHQQ", stream.read(20))
        if (tag, kind) == (_SUB_IMAGES, _IFD8):
            if count == 1:
                return (value,)
            stream.seek(value)
            return struct.unpack(f"<{min(count, 64)}Q", stream.read(8 * min(count, 64)))
    return ()


def _ycbcr_refusal(image: TiffImageFile) -> str | None:
    tags = image.tag_v2
    counts = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES) or ()
    whole = sum(counts) >= 3 * image.width * image.height
    sampling = tuple(tags.get(_SUBSAMPLING, (1, 1) if whole else (2, 2)))
    if sampling != (1, 1):
        return f"YCbCrSubSampling {sampling} of uncompressed samples is not read; save it as RGB"
    weights = [float(weight) for weight in tags.get(_COEFFICIENTS, (0.299, 0.587, 0.114))]
    levels = [float(level) for level in tags.get(_BLACK_AND_WHITE, (0, 255, 128, 255, 128, 255))]
    usual = all(abs(a - b) < 2e-3 for a, b in zip(weights, (0.299, 0.587, 0.114), strict=True))
    if not usual or levels != [0, 255, 128, 255, 128, 255]:
        return (
            f"YCbCrCoefficients {weights} and ReferenceBlackWhite {levels} of uncompressed samples "
            "are not read; save it as RGB"
        )
    return None
