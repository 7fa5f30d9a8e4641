"""Convolution and linear layers that do what follows them as well: norm, sum and activation.

On a CPU they call the oneDNN kernels that torch's own compiler calls, with weights in oneDNN's
blocked layout; elsewhere, and where torch has no such kernels, the plain functions in place.
"""

import copy
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Activation = Literal["none", "swish", "gelu"]
_Module = TypeVar("_Module", bound=nn.Module)

_TYPICAL_BATCH = 8  # oneDNN picks a layout by shape; others work, a little slower


@dataclass(frozen=True)
class Placement:
    """Where and how precisely a tower runs."""

    device: torch.device
    dtype: torch.dtype

    @property
    def fused(self) -> bool:
        """Whether oneDNN's fused kernels are to be had there."""
        kernels = torch.ops.mkldnn
        there = self.device.type == "cpu" and torch.backends.mkldnn.is_available()
        if not there or not hasattr(kernels, "_linear_pointwise"):
            return False
        if self.dtype == torch.bfloat16:  # which a processor without AVX-512 refuses
            return bool(kernels._is_mkldnn_bf16_supported())
        return self.dtype == torch.float32

    @property
    def wide(self) -> "Placement":
        """The same device, for the few products whose rounding would show."""
        return Placement(self.device, torch.float64 if self.device.type == "cpu" else torch.float32)

    def put(self, weight: Tensor) -> Tensor:
        """A copy of a weight."""
        return weight.detach().to(self.device, self.dtype, copy=True)

    def copied(self, layer: _Module) -> _Module:
        """A copy of a layer that is used as it is."""
        return copy.deepcopy(layer).requires_grad_(False).to(self.device, self.dtype)


class FusedConv(nn.Module):
    """A convolution with its batch norm folded in, and what follows done in the same pass.

    The convolution is square, ungrouped and undilated; ``side``, in pixels, is that of the feature
    maps it will mostly see.
    """

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d, place: Placement, *, relu: bool, side: int
    ) -> None:
        super().__init__()
        self.stride, self.padding = list(conv.stride), list(map(int, conv.padding))
        self.relu, self.fused = relu, place.fused
        conv_64, norm_64 = copy.deepcopy(conv).double(), copy.deepcopy(norm).double()
        folded = fuse_conv_bn_eval(conv_64.eval(), norm_64.eval())  # rounded once, to the dtype
        self.bias = place.put(cast(Tensor, folded.bias))
        self.weight = place.put(folded.weight).contiguous(memory_format=torch.channels_last)
        if self.fused:
            mostly = [_TYPICAL_BATCH, conv.in_channels, side, side]
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            self.weight = reorder(self.weight, self.padding, self.stride, [1, 1], 1, mostly)

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """``(N, C, H, W)``, channels last, to the convolution's shape.

        ``shortcut`` is added before rectifying; its memory is used for the result.
        """
        weights, geometry = (self.weight, self.bias), (self.padding, self.stride, [1, 1], 1)
        kernels = torch.ops.mkldnn
        if not self.fused:
            y = F.conv2d(x, *weights, self.stride, self.padding)
            y = y if shortcut is None else y.add_(shortcut)
            return y.relu_() if self.relu else y
        if shortcut is None:
            then = "relu" if self.relu else "none"
            return kernels._convolution_pointwise(x, *weights, *geometry, then, [], "")
        summed = kernels._convolution_pointwise_.binary
        act = "relu" if self.relu else None
        return summed(shortcut, x, *weights, *geometry, "add", 1.0, act, [], "")


class FusedLinear(nn.Module):
    """A linear layer, weight ``(out, in)``, with its activation or a residual sum in one pass."""

    def __init__(
        self, weight: Tensor, bias: Tensor, place: Placement, activation: Activation = "none"
    ) -> None:
        super().__init__()
        self.weight, self.bias = place.put(weight), place.put(bias)
        self.activation, self.fused = activation, place.fused
        if self.fused:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, 50 * _TYPICAL_BATCH)

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """``(..., in)`` to ``(..., out)``; ``shortcut`` is added to the result."""
        if self.fused:
            op = torch.ops.mkldnn._linear_pointwise
            if shortcut is not None:
                return op.binary(x, shortcut, self.weight, self.bias, "add")
            return op(x, self.weight, self.bias, self.activation, [], "none")
        y = F.linear(x, self.weight, self.bias)
        if self.activation == "swish":
            y = F.silu(y, inplace=True)
        elif self.activation == "gelu":
            y = F.gelu(y)
        return y if shortcut is None else y.add_(shortcut)
