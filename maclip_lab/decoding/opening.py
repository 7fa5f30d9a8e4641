"""Opening a file as a picture: by the first accepted format that knows its opening bytes."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import IO

from PIL import Image

from maclip_lab.decoding import media, png, tiff

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".jpf", ".avif"}
)
HEIF = find_spec("pillow_heif") is not None  # Pillow's plugin, read where it is installed
if HEIF:
    FORMATS += ("HEIF",)
    EXTENSIONS |= {".heic", ".heif", ".hif"}


class Refused(Exception):
    """Ends the decoding of one picture with a status; never leaves `maclip_lab.images`."""

    def __init__(self, status: str, message: str, size: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.status, self.size = status, size


def open_picture(stream: IO[bytes], name: str) -> Image.Image:
    """A file's header read, by its name in messages; decoding is up to the caller.

    ``Image.open`` would do, but for its decompression-bomb warning: it obeys a process-wide
    number instead of ``max_pixels``, and silencing it is not safe in threads.
    """
    _load_plugins()
    prefix = stream.read(16)
    for name_of_format in FORMATS:
        factory, accept = Image.OPEN.get(name_of_format, (None, None))
        verdict = accept(prefix) if accept else False
        if factory is None or not verdict or isinstance(verdict, str):
            continue
        stream.seek(0)
        try:
            return factory(stream, "")
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Refused("too_large", f"{name}: {error}") from error
        except Exception as error:  # parsers of damaged bytes raise anything
            if name_of_format == "PNG" and "too large for" in str(error):
                smaller, dropped = png.without_large_notes(stream)
                if dropped:
                    image = open_picture(smaller, name)
                    image.info["dropped"] = dropped
                    return image
            foreign = tiff.why_unknown(stream) if name_of_format == "TIFF" else None
            if foreign or str(error).lower().startswith(("unsupported", "cannot handle")):
                why = foreign or f"{name_of_format}: {error}; save it as 8-bit PNG"
                raise Refused("unsupported", f"{name}: {why}") from error
            raise Refused(
                "decode_error", f"{name}: damaged {name_of_format} header: {error}"
            ) from error
    raise Refused(
        "unsupported",
        f"{name} is {media.named(prefix)}; accepted are {', '.join(FORMATS)}. Convert it, PNG "
        "loses nothing" + "; pillow-heif, where it is installed, reads it" * _is_heif(prefix),
    )


@cache
def _load_plugins() -> None:
    Image.init()
    if HEIF:
        import_module("pillow_heif").register_heif_opener()


def _is_heif(prefix: bytes) -> bool:
    return not HEIF and "HEIC" in media.named(prefix)
