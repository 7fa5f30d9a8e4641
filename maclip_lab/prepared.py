"""The one door from any picture to the pixels that are cut into crops.

Whoever scores or extracts comes through here, so that the same picture is taken or refused, scaled
and flagged in the same way wherever it is asked for.
"""

import os
from dataclasses import dataclass, replace

import numpy as np

from maclip_lab.crops import CropGrid, Protocol, prepare
from maclip_lab.images import Picture, Preset, Source, announced_pixels, load_picture
from maclip_lab.readahead import release_freed_memory

WHOLE_PIXELS = 4096 * 3072
"""Largest picture that a ``whole`` protocol encodes: its memory grows with the picture. Phones call
no larger one 12 megapixels."""

_LARGE = 12_000_000  # pixels; what decoding a larger picture took is not kept for the next


@dataclass(frozen=True)
class PreparedPicture:
    """A picture on its way to the encoder.

    Attributes:
        source: the picture's path or description.
        picture: what reading it gave, without the image: status, message, flags and native size.
        pixels: RGB ``(H, W, 3)`` uint8 at the size the protocol cuts from; None where ``picture``
            says why there are none.
        grid: where the crops lie; None without pixels.
    """

    source: str
    picture: Picture
    pixels: np.ndarray | None = None
    grid: CropGrid | None = None


def prepare_picture(
    source: "Source | Picture", protocol: Protocol, preset: Preset = "default"
) -> PreparedPicture:
    """A picture as its crops are cut from it; what cannot be used is a status, never an error.

    A picture that was read before will do as well.
    """
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else type(source).__name__
    picture = source if isinstance(source, Picture) else load_picture(source, preset=preset)
    if picture.image is None:
        return PreparedPicture(name, picture)
    image, picture = picture.image, replace(picture, image=None)
    try:
        pixels, upscaled = prepare(image, protocol)
    except ValueError as error:
        return PreparedPicture(name, replace(picture, status="too_small", message=str(error)))
    except MemoryError as error:
        return PreparedPicture(name, replace(picture, status="too_large", message=str(error)))
    height, width = pixels.shape[:2]
    if height * width > _LARGE:
        del image
        release_freed_memory()
    if protocol.whole and height * width > WHOLE_PIXELS:
        message = (
            f"{width} x {height} = {width * height:,} pixels at once, more than the "
            f"{WHOLE_PIXELS:,} that a whole-picture protocol sees; scale the picture down, or "
            "score it by its crops, which have no limit"
        )
        return PreparedPicture(name, replace(picture, status="too_large", message=message))
    if upscaled:
        picture = replace(picture, flags=(*picture.flags, "upscaled"))
    return PreparedPicture(name, picture, pixels, CropGrid(height, width, protocol))


def pixels_to_decode(source: "Source | Picture") -> int:
    """Pixels in memory while a picture is decoded and waits; 0 where its header does not say."""
    if isinstance(source, Picture):
        return source.width * source.height
    return announced_pixels(source)
