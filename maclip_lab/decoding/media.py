"""What the opening bytes of a file that is not accepted say it is."""

_BRANDS = {b"hei": "an HEIC picture", b"hev": "an HEIC picture", b"mif": "an HEIC picture"}
_BRANDS |= {b"msf": "an HEIC picture", b"avi": "an AVIF picture", b"crx": "a camera raw file"}


def named(prefix: bytes) -> str:
    """A name for a file of these first 16 bytes, in words that follow "is"."""
    if prefix[4:8] == b"ftyp":
        return _BRANDS.get(prefix[8:11], f"a video or other media file ({prefix[8:12]!r})")
    return f"a file that begins with {prefix!r}"
