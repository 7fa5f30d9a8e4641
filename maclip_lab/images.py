"""Any picture to 8-bit RGB, with what was done to it on record.

The plain ``convert("RGB")`` turns some files into wrong numbers without a word. Here each kind has
one stated treatment and a flag; what cannot be used has a status and a message, and no run stops.
"""

import hashlib
import math
import os
import re
import stat
import sys
import unicodedata
import warnings
from collections import Counter
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageFile
from PIL.ExifTags import Base as Tag

from maclip_lab import colour, formats
from maclip_lab.files.identity import content_sha256, files_below
from maclip_lab.formats import Refused

if TYPE_CHECKING:
    from torch import Tensor

Preset = Literal["default", "official"]
Source: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor"

STATUSES = {
    "ok": "decoded",
    "missing": "no such file",
    "not_a_file": "a folder, pipe or device",
    "empty": "zero bytes",
    "unreadable": "the operating system refuses to read it",
    "unsupported": "not a picture, or of a kind that is not accepted",
    "decode_error": "a picture file that is damaged or cut short",
    "too_large": "more pixels, or more bytes, than are read",
    "float_data": "floating-point samples, whose range is unknown",
}
MAX_PIXELS = 2**27  # 134 megapixels, 400 MB once decoded: above any camera phone
MAX_BYTES = 2**30  # as many, of 8 bytes each

_GREY_MODES = {"1", "L", "LA", "La", "I"}
_TURNS = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_270 TRANSVERSE ROTATE_90"
_UPRIGHT = {number: Image.Transpose[turn] for number, turn in enumerate(_TURNS.split(), start=2)}

being_read: ContextVar[str] = ContextVar("being_read", default="")
"""Path of the picture that this thread reads, for warnings of decoders, which do not name it."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture, or the reason why there is none.

    Attributes:
        image: mode RGB, 8 bit; None unless ``status``, a key of ``STATUSES``, is ``"ok"``.
        flags: what was found or done. The mode: ``grey``, ``16bit``, ``palette``, ``cmyk``,
            ``lab``, ``alpha``. ``animated`` and ``multipage``: first frame or page used.
            ``exif_rotated``: carries an orientation tag. Colours: ``icc`` and ``not_srgb``, other
            than sRGB by a profile or said another way, are converted by default and ignored
            officially; ``icc_broken``, a profile that cannot be used or is for other pixels,
            ``hdr`` and ``colour_untold`` are left as stored. ``low_range``: 16-bit samples that
            fill a 16th of their range, so near black. ``notes_dropped``: what is damaged, or a
            note of more than a megabyte, beside a PNG's pixels. ``truncation_unchecked``: another
            library has switched off Pillow's check for files cut short.
        message: what is wrong and what to do; empty when ok.
        width, height: pixels, after orientation; 0 when unknown.
        sha256: of the bytes of a file; else empty.
    """

    image: Image.Image | None
    status: str
    flags: tuple[str, ...] = ()
    message: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""


def load_picture(source: Source, *, preset: Preset = "default") -> Picture:
    """Decode a picture to 8-bit RGB; a bad file is a status, never an exception. Safe in threads.

    Args:
        source: a path, the bytes of a file, a PIL image, a uint8 or uint16 array (H, W) or
            (H, W, 1 | 3 | 4), or a tensor (1 | 3, H, W), uint8 or floating in [0, 1], which is
            rounded to 8 bit; of another kind it is a TypeError or ValueError.
        preset: ``"default"`` turns the picture upright by its EXIF tag and lays transparency on
            white; ``"official"``, the authors' ``convert("RGB")``, neither. Both scale 16 bits.
    """
    if preset not in ("default", "official"):
        raise ValueError(f"preset must be 'default' or 'official', got {preset!r}")
    if isinstance(source, str | os.PathLike):
        token = being_read.set(os.fspath(source))
        try:
            return _from_path(os.fspath(source), preset)
        finally:
            being_read.reset(token)
    if isinstance(source, bytes | Image.Image):
        name = "the bytes" if isinstance(source, bytes) else "the PIL image"
        return _decoded(source, name, preset)
    if "torch" in sys.modules and isinstance(source, sys.modules["torch"].Tensor):
        source = _array_of(source)
    if not isinstance(source, np.ndarray):
        kind = type(source).__name__
        raise TypeError(f"a picture must be a path, bytes, PIL image, array or tensor, got {kind}")
    return _decoded(_from_array(source), "the array", preset)


def announced_pixels(source: "Source | Picture") -> int:
    """Pixels of a picture as its header says, before decoding; 0 where it does not say."""
    if isinstance(source, Image.Image | Picture):
        return source.width * source.height
    if not isinstance(source, bytes | str | os.PathLike):
        return math.prod(source.shape) // 3
    try:
        if not isinstance(source, bytes) and _file_status(os.fspath(source)) != "ok":
            return 0  # to open a pipe is to wait for ever
        with BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as stream:
            return math.prod(formats.size_in_header(stream))
    except Exception:  # parsers of damaged bytes raise anything; reading it will say what is wrong
        return 0


def find_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """Picture files below a folder, by extension, in natural order (``2.jpg`` before ``10.jpg``).

    Links are followed, each folder once. Hidden files, and the copies that macOS and storage
    servers leave behind, are skipped. Pictures of formats that are not read, or whose names do not
    say what they are, are left out with a warning that counts them.
    """
    root = Path(folder).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {root}{path_hint(str(folder))}")
    if not root.is_dir():
        raise NotADirectoryError(f"not a folder: {root}; to score one file, pass it directly")
    pictures, left, unreadable = list[Path](), Counter[str](), list[str]()
    for name, regular in files_below(str(root), unreadable):
        path, suffix = root / name, Path(name).suffix.lower()
        if suffix in formats.EXTENSIONS:
            pictures.append(path)
        elif regular and (suffix in formats.UNSIGNED or _begins_like_a_picture(path)):
            left[suffix or "without suffix"] += 1
    for skipped in unreadable:
        warnings.warn(f"skipped a folder that cannot be read: {root / skipped}", stacklevel=2)
    if left:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left.items()))
        heic = not formats.HEIF and {".heic", ".heif", ".hif"} & set(left)
        warnings.warn(
            f"{left.total()} pictures under {root} are left out: {kinds}. A search takes files "
            f"named {' '.join(sorted(formats.EXTENSIONS))}; rename or convert the others"
            f"{'; pillow-heif, where it is installed, reads HEIC' if heic else ''}",
            stacklevel=2,
        )
    return sorted(pictures, key=lambda path: _natural_key(path.relative_to(root)))


def path_hint(path: str) -> str:
    """What a path that leads nowhere seems to be."""
    if re.match(r"[a-z][a-z0-9+.-]+:/", path, re.IGNORECASE):
        return "; it is an address: nothing is downloaded here, save the picture and give its path"
    if any(mark in path for mark in "*?["):
        return "; a pattern is not searched for: give a folder, or the list glob.glob() makes of it"
    return ""


def _eight_bit(values: np.ndarray) -> np.ndarray:
    """Samples of 16 bit to the nearest of 256 levels."""
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _from_path(path: str, preset: Preset) -> Picture:
    try:
        status = _file_status(path)
        if status != "ok":
            digest = content_sha256(path) if status == "too_large" else ""
            return Picture(None, status, (), f"{path!r}: {STATUSES[status]}", sha256=digest)
        with open(path, "rb") as stream:
            data = stream.read()
        return _decoded(data, repr(path), preset)
    except (FileNotFoundError, NotADirectoryError):
        hint = " (a link to nothing)" if os.path.islink(path) else path_hint(path)
        return Picture(None, "missing", message=f"{path!r}: no such file{hint}")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        shown = path if len(path) <= 120 else f"{path[:100]}… ({len(path)} characters)"
        return Picture(None, "unreadable", message=f"{shown!r} cannot be read: {reason}")


def _file_status(path: str) -> str:
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        return "not_a_file"
    return "too_large" if facts.st_size > MAX_BYTES else "ok"


def _array_of(tensor: "Tensor") -> np.ndarray:
    """A tensor (1 | 3, H, W) as an array (H, W, 1 | 3), of 8 bit where it is floating."""
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        shape = tuple(tensor.shape)
        raise ValueError(f"a picture tensor must have shape (3, H, W) or (1, H, W), got {shape}")
    values = tensor.detach().permute(1, 2, 0).cpu()
    if not values.is_floating_point() or not values.numel():
        return values.numpy()
    array = values.float().numpy()
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"a float picture tensor must lie in [0, 1], got min {low:g}, max {high:g}; "
            "divide 0..255 values by 255, and undo any normalisation"
        )
    return np.rint(array * 255).astype(np.uint8)


def _from_array(array: np.ndarray) -> Image.Image:
    """An array as an image of 8 bit, which tells where it had 16."""
    if array.dtype not in (np.uint8, np.uint16):
        advice = "floating pictures go in as a float tensor (3, H, W) in [0, 1]"
        raise TypeError(f"a picture array must be uint8 or uint16, got {array.dtype}; {advice}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if not (array.ndim == 2 or colour) or 0 in array.shape:
        shapes = "(H, W) or (H, W, 1 | 3 | 4)"
        raise ValueError(f"a picture array must have shape {shapes}, got {array.shape}")
    bits = 8 * array.itemsize
    image = Image.fromarray(np.ascontiguousarray(array if bits == 8 else _eight_bit(array)))
    image.info["bits"] = bits
    return image


def _decoded(source: bytes | Image.Image, name: str, preset: Preset) -> Picture:
    """A file's bytes or an image as a picture, with whatever goes wrong turned into a status."""
    sha256, size = "", (0, 0)
    try:
        if isinstance(source, bytes):
            sha256 = hashlib.sha256(source).hexdigest()
            source = formats.open_picture(source)
        size = source.size
        return replace(_decode(source, preset), sha256=sha256)
    except Refused as refusal:
        status, message, size = refusal.status, str(refusal), refusal.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        status, message = "too_large", str(error) or "not enough memory to decode it"
    except Exception as error:  # decoders of damaged bytes raise anything
        status, message = "decode_error", f"damaged or cut short: {error or type(error).__name__}"
    return Picture(None, status, (), f"{name}: {message}", *size, sha256)


def _decode(image: Image.Image, preset: Preset) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        size = f"{width} x {height} = {width * height / 1e6:.1f} megapixels"
        reason = f"{size}, more than the {MAX_PIXELS / 1e6:.1f} that are read; scale it down"
        raise Refused("too_large", reason, image.size)
    if image.mode == "F":
        advice = "map them to 8 or 16 bit, or pass a float tensor in [0, 1]"
        raise Refused("float_data", f"floating-point samples have no range: {advice}", image.size)
    formats.refuse_what_comes_out_wrong(image)
    flags = _flags_before_loading(image)
    wide = image.mode == "I" or image.mode.startswith("I;16")
    flag, profile = colour.said(image, "L" if wide else image.mode)
    image.load()
    flags += image.info.get("dropped", ())
    turn = _UPRIGHT.get(_orientation(image))
    image = _scaled_to_8bit(image) if wide else image
    if "16bit" in flags and image.mode in ("L", "LA", "RGB", "RGBA") and _in_low_range(image):
        flags += ("low_range",)
    flags += (flag,) if flag and flag not in flags else ()
    if profile and preset == "default":
        image = colour.to_srgb(image, profile)
    rgb = _to_rgb(image, preset)
    if turn is not None:
        flags += () if "exif_rotated" in flags else ("exif_rotated",)
        rgb = rgb if preset == "official" else rgb.transpose(turn)
    return Picture(rgb, "ok", flags, "", *rgb.size)


def _flags_before_loading(image: Image.Image) -> tuple[str, ...]:
    paged = "multipage" if image.format in ("TIFF", "MPO") else "animated"
    is_file = isinstance(image, ImageFile.ImageFile)
    checks = {
        "grey": image.mode in _GREY_MODES or image.mode.startswith("I;16"),
        "16bit": formats.is_16bit(image),
        "palette": image.mode in ("P", "PA"),
        "cmyk": image.mode == "CMYK",
        "lab": image.mode == "LAB",
        "alpha": image.has_transparency_data,
        paged: getattr(image, "is_animated", False) or Tag.SubIFDs in getattr(image, "tag_v2", ()),
        "exif_rotated": _orientation(image) in _UPRIGHT,
        "truncation_unchecked": is_file and ImageFile.LOAD_TRUNCATED_IMAGES,
    }
    return tuple(flag for flag, present in checks.items() if present)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(Tag.Orientation, 1))
    except Exception:  # a garbled tag block says nothing about the pixels
        return 1


def _scaled_to_8bit(image: Image.Image) -> Image.Image:
    image = image.convert("I")
    low, high = np.ravel(image.getextrema())
    if low < 0 or high > 65535:
        reason = "only 8 and 16 bit are accepted, scale them to 0..65535"
        raise Refused("unsupported", f"32-bit samples outside 0..65535; {reason}", image.size)
    return image.point(_eight_bit(np.arange(65536)).tolist(), "L")


def _in_low_range(image: Image.Image) -> bool:
    """Whether 16-bit samples, here at 8 bit, would fit 12 bits or are black throughout."""
    bands = [image.getchannel(band) for band in image.getbands() if band != "A"]
    return all(np.max(band.getextrema()) <= 16 for band in bands)


def _to_rgb(image: Image.Image, preset: Preset) -> Image.Image:
    if preset == "official" or not image.has_transparency_data:
        if "transparency" in image.info:
            image = image.copy()
            del image.info["transparency"]  # it changes no pixel, but convert() warns of it
        return _convert(image, "RGB")
    if image.mode in ("La", "RGBa"):
        image = _convert(image, image.mode.upper())
    layer = _convert(image, "RGBA")
    canvas = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(canvas, layer).convert("RGB")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode and isinstance(image, ImageFile.ImageFile):
        return image._new(image.im)  # the same pixels, without the file, which a TIFF holds on to
    try:
        return image.convert(mode)
    except ValueError as error:
        reason = f"colour mode {image.mode} has no conversion to RGB; save it as RGB"
        raise Refused("unsupported", reason, image.size) from error


def _begins_like_a_picture(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as stream:
        return formats.named(stream.read(formats.HEADER)) in formats.PICTURES
    return False


def _natural_key(path: Path) -> list[tuple[int, int | str]]:
    pieces = re.split(r"(\d+)", unicodedata.normalize("NFC", path.as_posix()).casefold())
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]
