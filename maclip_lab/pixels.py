"""Arrays and tensors of samples to 8-bit PIL images."""

import sys
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def eight_bit(values: np.ndarray) -> np.ndarray:
    """16-bit samples to the nearest of 256 levels: 65535 is 257 times 255.

    >>> eight_bit(np.array([0, 128, 129, 65535]))
    array([  0,   0,   1, 255], dtype=uint8)
    """
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def from_array(array: np.ndarray) -> tuple[Image.Image, tuple[str, ...]]:
    """A uint8 or uint16 array (H, W) or (H, W, 1 | 3 | 4) as an image, and its flags.

    Raises:
        TypeError: another dtype.
        ValueError: another shape.
    """
    if array.dtype not in (np.uint8, np.uint16):
        raise TypeError(
            f"a picture array must be uint8 or uint16, got {array.dtype}; floating pictures go in "
            "as a float tensor (3, H, W) in [0, 1]"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if not (array.ndim == 2 or colour) or 0 in array.shape:
        raise ValueError(
            f"a picture array must have shape (H, W) or (H, W, 1 | 3 | 4), got {array.shape}"
        )
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array)), ()
    return Image.fromarray(np.ascontiguousarray(eight_bit(array))), ("16bit",)


def is_tensor(source: object) -> "TypeGuard[Tensor]":
    """Whether ``source`` is a tensor; one exists only where torch has been imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def from_tensor(tensor: "Tensor") -> tuple[Image.Image, tuple[str, ...]]:
    """A tensor (1 | 3, H, W), floating in [0, 1] or uint8, as an image, and its flags.

    Raises:
        TypeError: another dtype.
        ValueError: another shape, or values outside [0, 1].
    """
    import torch

    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3) or 0 in tensor.shape:
        raise ValueError(
            f"a picture tensor must have shape (3, H, W) or (1, H, W), got {tuple(tensor.shape)}"
        )
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
