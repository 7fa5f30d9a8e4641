"""What the opening bytes of a file say it is, whether it is accepted or not."""

_HEIC, _RAW = "an HEIC picture", "a camera raw file"
_BRANDS = {b"hei": _HEIC, b"hev": _HEIC, b"mif": _HEIC, b"msf": _HEIC}
_BRANDS |= {b"avi": "an AVIF picture", b"crx": _RAW}
_STARTS = {
    **{b"\xff\xd8\xff": "a JPEG", b"\x89PNG": "a PNG", b"GIF8": "a GIF"},
    **{b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"II+\0": "a TIFF", b"MM\0+": "a TIFF"},
    **{b"\0\0\0\x0cjP": "a JPEG 2000", b"\xff\x4f\xff\x51": "a JPEG 2000"},
    **{b"FUJIFILM": _RAW, b"IIRO": _RAW, b"IIRS": _RAW, b"MMOR": _RAW, b"IIU\0": _RAW},
    **{b"8BPS": "a Photoshop file", b"v/1\1": "an OpenEXR file", b"#?RADIANCE": "a Radiance file"},
    **{b"\xff\x0a": "a JPEG XL", b"\0\0\0\x0cJXL ": "a JPEG XL", b"SIMPLE  =": "a FITS file"},
}


def named(prefix: bytes) -> str:
    """A name for a file of these first 16 bytes, in words that follow "is"."""
    if prefix[4:8] == b"ftyp":
        return _BRANDS.get(prefix[8:11], f"a video or other media file ({prefix[8:12]!r})")
    start = next((start for start in _STARTS if prefix.startswith(start)), None)
    return _STARTS[start] if start else f"a file that begins with {prefix!r}"


def is_picture(prefix: bytes) -> bool:
    """Whether a file of these first 16 bytes is a picture of any kind."""
    if prefix[4:8] == b"ftyp":
        return prefix[8:11] in _BRANDS
    bitmap = prefix.startswith(b"BM") and prefix[6:10] == b"\0\0\0\0"
    webp = prefix.startswith(b"RIFF") and prefix[8:12] == b"WEBP"
    return bitmap or webp or any(prefix.startswith(start) for start in _STARTS)
