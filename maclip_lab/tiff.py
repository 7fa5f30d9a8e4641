"""TIFF: what its tags say and Pillow's decoder does not honour is refused by the tag's name."""

from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from typing import IO

from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2, TiffImageFile

BITS, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT = 258, 262, 284, 339
_WIDTH, _HEIGHT, _COMPRESSION, _COLOUR_MAP, _SUB_IMAGES = 256, 257, 259, 320, 330
_FILL_ORDER, _EXTRA, _INK_SET, _SUBFILE, _OLD_SUBFILE = 266, 338, 332, 254, 255
_MAX_SAMPLE, _SMALLEST, _LARGEST = 281, 340, 341
_CMYK, _YCBCR = 5, 6
_SCALED = {0, 1, 2, _CMYK}  # where a sample is an amount of light or ink
_PHOTOMETRICS = {
    **{0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"},
    **{4: "mask", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "raw sensor (CFA)"},
    **{32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
_FORMATS = {1: "unsigned", 2: "signed", 3: "floating", 4: "untyped", 5: "complex", 6: "complex"}
_ADVICE = "save it as 8- or 16-bit RGB or grey, PNG loses nothing"
BIG = f"a BigTIFF, which is for files of more than 4 GB, is not read; {_ADVICE}"
_BY_ITSELF = "as in camera raw; develop it and save the photograph by itself"


def white_is_zero(image: Image.Image) -> bool:
    """Whether grey of 16 bit, which arrives as stored, is a negative."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0


def is_unsigned(image: Image.Image) -> bool:
    """Whether samples of 32 bit, which arrive as signed ones, are none."""
    return isinstance(image, TiffImageFile) and max(image.tag_v2.get(SAMPLE_FORMAT, (1,))) == 1


def why_unknown(data: bytes) -> str | None:
    """What a sound TIFF header announces that is not read; None if it is damaged."""
    try:
        tags = _directory(BytesIO(data))
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
    bits, photometric, raw = tags.get(BITS, (1,)), tags.get(PHOTOMETRIC), not image.use_load_libtiff
    kind = f"BitsPerSample {tuple(bits)}, PhotometricInterpretation {photometric}"
    colours = tags.get(_COLOUR_MAP)
    low, high = _stated_span(tags)
    if tags.get(_SUBFILE, 0) & 5 or tags.get(_OLD_SUBFILE, 1) == 2:
        return (
            "NewSubfileType says the first page is a thumbnail or mask of another picture in the "
            f"file, {_BY_ITSELF}"
        )
    if _has_larger_sub_image(image):
        return f"SubIFDs holds a larger picture than the first page, {_BY_ITSELF}"
    if max(tags.get(SAMPLE_FORMAT, (1,))) == 2 and max(bits) < 32:
        return f"SampleFormat 2: signed {max(bits)}-bit samples, whose black is unknown; {_ADVICE}"
    if max(bits) == 12:  # which arrive in 16 unscaled
        return f"{kind} is not read; {_ADVICE}, scaled to the whole range"
    if tags.get(PLANAR, 1) == 2 and not _planes_are_read(image):
        return f"PlanarConfiguration 2 is not read with {kind}; {_ADVICE}"
    if photometric == _CMYK and tags.get(_INK_SET, 1) != 1:
        return f"InkSet {tags[_INK_SET]}: inks that are not CMYK are not read; {_ADVICE}"
    if photometric in _SCALED and max(bits) <= 16 and (low, high) != (0, 2 ** max(bits) - 1):
        return (
            f"SMinSampleValue {low} and SMaxSampleValue {high} of {max(bits)}-bit samples are "
            f"not read; {_ADVICE}, scaled to the whole range"
        )
    if image.mode in ("P", "PA") and colours and max(colours) < 256:
        return f"a ColorMap of 8 bits, where the format has 16, is not read; {_ADVICE}"
    if photometric == _YCBCR and raw and len(bits) == 3:
        sampling = tags.get(530, (2, 2))
        return f"YCbCrSubSampling {sampling} of uncompressed YCbCr is not read; save it as RGB"
    return None


def _stated_span(tags: ImageFileDirectory_v2) -> tuple[int, int]:
    """The range of samples by the tags; MaxSampleValue may be what occurs, unless it is a depth."""
    whole = 2 ** max(tags.get(BITS, (1,))) - 1
    try:
        low, high, most = (
            int(max(_several(tags.get(tag, value))))
            for tag, value in ((_SMALLEST, 0), (_LARGEST, whole), (_MAX_SAMPLE, whole))
        )
    except (TypeError, ValueError):  # a garbled tag
        return 0, whole
    if _LARGEST not in tags and whole == 65535 and most in (1023, 4095, 16383):
        high = most
    return (low, high) if 0 <= low < high <= whole else (0, whole)


def _several(value: object) -> Iterable[float]:
    return value if isinstance(value, tuple) else (value,)


def _planes_are_read(image: TiffImageFile) -> bool:
    # Pillow takes the n-th letter of the mode for the n-th plane: "L;4" and "L;I" lose their end.
    tags = image.tag_v2
    if image.use_load_libtiff:
        return image.mode != "LAB"
    plain = tags.get(PHOTOMETRIC) in (1, 2, 3, 5) and max(tags.get(BITS, (1,))) == 8
    return plain and tags.get(_FILL_ORDER, 1) == 1 and 1 not in tags.get(_EXTRA, ())


def _has_larger_sub_image(image: TiffImageFile) -> bool:
    if image.fp is None:
        return False
    place, own = image.fp.tell(), image.width * image.height
    with suppress(Exception):  # a broken pointer says nothing about the first page
        for offset in _several(image.tag_v2.get(_SUB_IMAGES, ())):
            tags = _directory(image.fp, int(offset))
            if tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0) > own:
                return True
    image.fp.seek(place)
    return False


def _directory(stream: IO[bytes], offset: int | None = None) -> ImageFileDirectory_v2:
    """The tags at a place of a file, by default the first page's."""
    stream.seek(0)
    tags = ImageFileDirectory_v2(stream.read(8))
    stream.seek(tags.next if offset is None else offset)
    tags.load(stream)
    return tags
