"""The image tower made ready for inference: where it runs, how precisely, how many crops at once."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from maclip_lab.clip.model import CLIP
from maclip_lab.crops import NATIVE, Protocol, crop_batches

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MICRO_BATCH = {"cpu": 4, "cuda": 64, "mps": 16}


def choose_device(device: str = "auto") -> torch.device:
    """The device asked for; ``"auto"`` is CUDA, else Apple's MPS, else the CPU.

    Raises:
        ValueError: torch knows no such device, or it is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f'device {device!r} cannot be used here ({error}); "auto" picks one that can'
        ) from error
    return chosen


class ImageEncoder:
    """Raw image features of crops, in float32 whatever the encoder's precision.

    Args:
        clip: the model; its image tower is converted in place.
        device: where to run.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``, of the encoder alone.
        micro_batch: crops encoded at once; the default keeps activations in a CPU's cache and
            fills a GPU. It is halved when a GPU runs out of memory.

    Raises:
        ValueError: the precision is not one of the three.
    """

    def __init__(
        self,
        clip: CLIP,
        *,
        device: torch.device,
        precision: str = "fp32",
        micro_batch: int | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.device = device
        self.precision = precision
        self.micro_batch = micro_batch or _MICRO_BATCH.get(device.type, 16)
        self.embed_dim = clip.embed_dim
        self._dtype = PRECISIONS[precision]
        self._clip = clip.to(device)
        self._clip.visual.to(dtype=self._dtype, memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode(self, crops: Tensor, pos_embedding: bool = False) -> Tensor:
        """Features ``(P, D)`` float32 on the CPU, of normalised crops ``(P, 3, H, W)``."""
        crops = crops.to(self.device, self._dtype, memory_format=torch.channels_last)
        return self._clip.encode_image(crops, pos_embedding).float().cpu()

    def encode_picture(
        self, pixels: np.ndarray, protocol: Protocol = NATIVE, pos_embedding: bool = False
    ) -> Tensor:
        """Features ``(P, D)`` of all crops of a prepared picture, in the protocol's order.

        Args:
            pixels: RGB ``(H, W, 3)`` uint8 from `maclip_lab.crops.prepare`.
            protocol: that says which crops.
            pos_embedding: see `CLIP.encode_image`.
        """
        while True:
            batches: Iterable[Tensor] = crop_batches(pixels, protocol, self.micro_batch)
            try:
                return torch.cat([self.encode(batch, pos_embedding) for batch in batches])
            except torch.OutOfMemoryError:
                if self.micro_batch == 1:
                    raise
                self.micro_batch = max(1, self.micro_batch // 2)
