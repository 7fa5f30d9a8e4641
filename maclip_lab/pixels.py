"""Arrays and tensors of samples to 8-bit PIL images."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def eight_bit(values: np.ndarray) -> np.ndarray:
    """Samples of 16 bit to the nearest of 256 levels.

    >>> eight_bit(np.array([0, 128, 129, 65535]))
    array([  0,   0,   1, 255], dtype=uint8)
    """
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def is_16bit(image: Image.Image) -> bool:
    """Whether the samples of an image, not yet decoded, have more than 8 bits."""
    if image.mode == "I" or image.mode.startswith("I;16") or image.info.get("bits", 8) > 8:
        return True
    # Colour files of 16 bit arrive as 8-bit modes; only the arguments of their tiles tell.
    for tile in getattr(image, "tile", None) or ():
        for argument in tile[3] if isinstance(tile[3], tuple) else (tile[3],):
            wide = image.format == "PPM" and isinstance(argument, int) and argument > 255
            if wide or ";16" in str(argument):
                return True
    return False


def in_low_range(image: Image.Image) -> bool:
    """Whether 16-bit samples, here at 8 bit, would fit 12 bits: a 16th of their range, near black.

    Alpha does not count; black throughout does, as 8 bits in 16 may have come to that.
    """
    bands = [image.getchannel(band) for band in image.getbands() if band != "A"]
    return all(int(np.asarray(band).max()) <= 16 for band in bands)


def sample_range(image: Image.Image) -> tuple[int, int]:
    """Smallest and largest sample of an integer image of one band."""
    ranges = [(int(values.min()), int(values.max())) for _, values in _strips(image)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def grey_8bit(image: Image.Image, negative: bool = False) -> Image.Image:
    """Samples in 0..65535 of one band as mode L, or LA where one level is transparent."""
    grey, key = Image.new("L", image.size), image.info.get("transparency")
    alpha = Image.new("L", image.size) if isinstance(key, int) else None
    for top, values in _strips(image):
        levels = eight_bit(65535 - values if negative else values)
        grey.paste(Image.fromarray(levels), (0, top))
        if alpha is not None:
            seen = np.where(values == key, 0, 255).astype(np.uint8)
            alpha.paste(Image.fromarray(seen), (0, top))
    if alpha is not None:
        grey.putalpha(alpha)
    return grey


def _strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    rows = max(1, 2**20 // image.width)  # a large picture as wide integers takes gigabytes
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        yield top, np.asarray(strip).astype(np.int64)


def from_array(array: np.ndarray) -> tuple[Image.Image, tuple[str, ...]]:
    """A uint8 or uint16 array (H, W) or (H, W, 1 | 3 | 4) as an image, and its flags."""
    if array.dtype not in (np.uint8, np.uint16):
        advice = "floating pictures go in as a float tensor (3, H, W) in [0, 1]"
        raise TypeError(f"a picture array must be uint8 or uint16, got {array.dtype}; {advice}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if not (array.ndim == 2 or colour) or 0 in array.shape:
        shapes = "(H, W) or (H, W, 1 | 3 | 4)"
        raise ValueError(f"a picture array must have shape {shapes}, got {array.shape}")
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array)), ()
    image = Image.fromarray(np.ascontiguousarray(eight_bit(array)))
    return image, ("16bit", "low_range") if in_low_range(image) else ("16bit",)


def is_tensor(source: object) -> "TypeGuard[Tensor]":
    """Whether ``source`` is a tensor; one exists only where torch has been imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def from_tensor(tensor: "Tensor") -> tuple[Image.Image, tuple[str, ...]]:
    """A tensor (1 | 3, H, W), floating in [0, 1] or uint8, as an image, and its flags."""
    import torch

    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3) or 0 in tensor.shape:
        shape = tuple(tensor.shape)
        raise ValueError(f"a picture tensor must have shape (3, H, W) or (1, H, W), got {shape}")
    if tensor.is_floating_point():
        values = tensor.detach().float()
        low, high = values.min().item(), values.max().item()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"a float picture tensor must lie in [0, 1], got min {low:g}, max {high:g}; "
                "divide 0..255 values by 255, and undo any normalisation"
            )
        tensor = (values * 255).round().to(torch.uint8)
    elif tensor.dtype != torch.uint8:
        raise TypeError(f"a picture tensor must be floating or uint8, got {tensor.dtype}")
    return from_array(tensor.permute(1, 2, 0).cpu().numpy())
