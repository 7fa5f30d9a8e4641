"""CLIP's image towers rewritten for inference: the same features from less work.

The towers in `maclip_lab.clip.model` are written to be read and trained. These take their weights
and apply algebra that changes nothing beyond rounding: batch norm folded into the convolution
before it, attention pooling without the keys and values of its tokens, a last transformer block
for the one token that is read. On a CPU convolutions and linear layers do what follows them as
well, by the oneDNN kernels that torch's own compiler calls, with weights in oneDNN's layout.
"""

import copy
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from maclip_lab.clip.model import (
    AttentionPool,
    Bottleneck,
    ModifiedResNet,
    QuickGELU,
    ResidualAttentionBlock,
    VisionTransformer,
    resized_positions,
)

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

    The convolution is square, ungrouped and undilated; ``side`` is that of most maps, in pixels.
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


_QUICK_GELU = 1.702
_CROP = 224  # side of the crops that oneDNN's layouts are chosen for, in pixels
_NARROW = 64  # channels of the narrowest published stem


def inference_tower(
    visual: ModifiedResNet | VisionTransformer, *, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """A tower with the features of ``visual``, made for one device and precision.

    A ResNet of a few channels runs as published up to its pool: it has little to average rounding
    out, and folding would move the cues of an ill-conditioned one by more than 1e-5.

    ``visual``, in evaluation mode, is left as it is; ``dtype`` is that of inputs and work, except
    that attention pooling is wider. The tower is called as ``visual`` is, with channels last: in
    the other layout AVX-512 sums odd batches in another order. It is neither trained nor moved.
    """
    place = Placement(device, dtype)
    if isinstance(visual, VisionTransformer):
        return InferenceTransformer(visual, place)
    if visual.conv3.out_channels < _NARROW and dtype == torch.float32:
        narrow = place.copied(visual)
        narrow.attnpool = SingleQueryPool(visual.attnpool, place.wide)  # type: ignore[assignment]
        return narrow
    return InferenceResNet(visual, place)


class InferenceResNet(nn.Module):
    """`ModifiedResNet` with folded norms and a folded attention pool."""

    def __init__(self, visual: ModifiedResNet, place: Placement) -> None:
        super().__init__()
        side = _CROP // 2
        self.layers = nn.Sequential(
            FusedConv(visual.conv1, visual.bn1, place, relu=True, side=_CROP),
            FusedConv(visual.conv2, visual.bn2, place, relu=True, side=side),
            FusedConv(visual.conv3, visual.bn3, place, relu=True, side=side),
            visual.avgpool,
        )
        side //= 2
        for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            for block in stage:
                made = _Block(cast(Bottleneck, block), place, side)
                side = made.side
                self.layers.append(made)
        self.pool = SingleQueryPool(visual.attnpool, place.wide)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)``, sides at least 32, to features ``(N, D)``."""
        return self.pool(self.layers(x), pos_embedding)


class _Block(nn.Module):
    """`Bottleneck` on maps of ``before`` pixels a side, after which they are ``side``."""

    def __init__(self, block: Bottleneck, place: Placement, before: int) -> None:
        super().__init__()
        strided = isinstance(block.avgpool, nn.AvgPool2d)
        self.side = before // 2 if strided else before
        self.narrow = FusedConv(block.conv1, block.bn1, place, relu=True, side=before)
        self.spatial = FusedConv(block.conv2, block.bn2, place, relu=True, side=before)
        self.pool = block.avgpool
        self.widen = FusedConv(block.conv3, block.bn3, place, relu=True, side=self.side)
        self.shortcut = nn.Sequential()
        if block.downsample is not None:
            pool, conv, norm = block.downsample
            conv, norm = cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)
            self.shortcut.extend([pool, FusedConv(conv, norm, place, relu=False, side=self.side)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.spatial(self.narrow(x)))
        return self.widen(y, self.shortcut(x))


class SingleQueryPool(nn.Module):
    """`AttentionPool` with its one query carried through to the tokens.

    ``q · (W_k t + b_k)`` equals ``(W_kᵀ q) · t`` plus a constant that the softmax ignores, and a
    weighted mean of ``W_v t + b_v`` equals ``W_v`` of the weighted mean, plus ``b_v``: no token
    needs its key or value. A feature can be a small difference of large pooled values, and the
    rounding errors of many tokens no longer average out: hence `Placement.wide`.
    """

    def __init__(self, pool: AttentionPool, place: Placement) -> None:
        super().__init__()
        self.heads = pool.heads
        self.positions = place.put(pool.positional_embedding)
        scale = (pool.q_proj.out_features // pool.heads) ** -0.5
        self.query = place.put(pool.q_proj.weight * scale), place.put(pool.q_proj.bias * scale)
        self.key = place.put(pool.k_proj.weight.unflatten(0, (self.heads, -1)))
        self.value = place.put(pool.v_proj.weight.unflatten(0, (self.heads, -1)))
        self.value_bias = place.put(pool.v_proj.bias)
        self.project = place.put(pool.c_proj.weight), place.put(pool.c_proj.bias)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Feature map ``(N, C, H, W)`` to features ``(N, D)``, in the pool's own precision."""
        rows, cols = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2).to(self.key.dtype)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        if pos_embedding:
            tokens = tokens + resized_positions(self.positions, rows, cols)
        query = F.linear(tokens[:, 0], *self.query).unflatten(-1, (self.heads, -1))
        asked = torch.einsum("nhd,hdc->nhc", query, self.key)
        mixed = torch.softmax(asked @ tokens.transpose(1, 2), -1) @ tokens
        pooled = torch.einsum("nhc,hdc->nhd", mixed, self.value).flatten(1) + self.value_bias
        return F.linear(pooled, *self.project)


class InferenceTransformer(VisionTransformer):
    """`VisionTransformer` with fused layers and a last block for the class token alone."""

    def __init__(self, visual: VisionTransformer, place: Placement) -> None:
        nn.Module.__init__(self)
        for name in ("conv1", "ln_pre", "ln_post"):
            self.add_module(name, place.copied(getattr(visual, name)))
        for name in ("class_embedding", "positional_embedding", "proj"):
            self.register_buffer(name, place.put(getattr(visual, name)))
        patches = self.conv1.weight
        patches.data = patches.contiguous(memory_format=torch.channels_last)
        blocks = cast(nn.Sequential, visual.transformer.resblocks)
        layers = [_Layer(cast(ResidualAttentionBlock, block), place) for block in blocks]
        layers[-1].queries = 1
        self.transformer = nn.Sequential(*layers)


class _Layer(nn.Module):
    """`ResidualAttentionBlock`, of the first ``queries`` tokens or all.

    QuickGELU is SiLU between two scalings, which weights take in.
    """

    queries: int | None = None

    def __init__(self, block: ResidualAttentionBlock, place: Placement) -> None:
        super().__init__()
        attn = block.attn
        widen, gelu, narrow = block.mlp
        widen, narrow = cast(nn.Linear, widen), cast(nn.Linear, narrow)
        self.heads, self.key_dim = attn.num_heads, attn.embed_dim // attn.num_heads
        self.norm_1, self.norm_2 = place.copied(block.ln_1), place.copied(block.ln_2)
        weights = attn.in_proj_weight.split([attn.embed_dim, 2 * attn.embed_dim])
        biases = attn.in_proj_bias.split([attn.embed_dim, 2 * attn.embed_dim])
        self.query = FusedLinear(weights[0], biases[0], place)
        self.key_value = FusedLinear(weights[1], biases[1], place)
        self.out = FusedLinear(attn.out_proj.weight, attn.out_proj.bias, place)
        quick = isinstance(gelu, QuickGELU)
        scale = _QUICK_GELU if quick else 1.0
        self.widen = FusedLinear(
            widen.weight * scale, widen.bias * scale, place, "swish" if quick else "gelu"
        )
        self.narrow = FusedLinear(narrow.weight / scale, narrow.bias, place)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, L, width)`` to ``(N, queries, width)``."""
        normed = self.norm_1(x)
        query = self._by_head(self.query(normed[:, : self.queries]))[0]
        key, value = self._by_head(self.key_value(normed))
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.out(mixed, x[:, : self.queries])
        return self.narrow(self.widen(self.norm_2(x)), x)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.heads, self.key_dim)).permute(2, 0, 3, 1, 4)
