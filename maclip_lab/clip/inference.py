"""CLIP's image towers rewritten for inference: the same features from less work.

The towers in `maclip_lab.clip.model` are written to be read and trained. These take their weights
and apply algebra that changes nothing beyond rounding: batch norm folded into the convolution
before it, attention pooling without the keys and values of its tokens, a last transformer block
for the one token that is read.
"""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maclip_lab.clip.kernels import FusedConv, FusedLinear, Placement
from maclip_lab.clip.model import (
    AttentionPool,
    Bottleneck,
    ModifiedResNet,
    QuickGELU,
    ResidualAttentionBlock,
    VisionTransformer,
    resized_positions,
)

_QUICK_GELU = 1.702
_CROP = 224  # side of the crops that oneDNN's layouts are chosen for, in pixels
_NARROW = 64  # channels of the narrowest published stem


def inference_tower(
    visual: ModifiedResNet | VisionTransformer, *, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    """A tower with the features of ``visual``, made for one device and precision.

    Args:
        visual: a tower in evaluation mode; it is left as it is.
        device: where the new tower runs.
        dtype: of its inputs and its work; attention pooling is wider.

    Returns:
        A module called as ``visual`` is, which can be neither trained nor moved nor saved.
    """
    place = Placement(device, dtype)
    if isinstance(visual, VisionTransformer):
        return InferenceTransformer(visual, place)
    if visual.conv3.out_channels < _NARROW and dtype == torch.float32:
        return PublishedResNet(visual, place)
    return InferenceResNet(visual, place)


class PublishedResNet(nn.Module):
    """`ModifiedResNet` as it stands, down to the order of its sums.

    Channels come last: in the other layout AVX-512 sums batches of odd sizes in another order.
    In a tower of a few channels arithmetic is not the limit, and there is little to average
    rounding out: folding would move the cues of an ill-conditioned one by more than 1e-5.
    """

    def __init__(self, visual: ModifiedResNet, place: Placement) -> None:
        super().__init__()
        self.visual = copy.deepcopy(visual).to(place.device, place.dtype)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)`` to features ``(N, D)``."""
        return self.visual(x.contiguous(memory_format=torch.channels_last), pos_embedding)


class InferenceResNet(nn.Module):
    """`ModifiedResNet` with folded norms and a folded attention pool."""

    def __init__(self, visual: ModifiedResNet, place: Placement) -> None:
        super().__init__()
        side = _CROP
        self.stem = nn.Sequential(
            FusedConv(visual.conv1, visual.bn1, place, relu=True, side=side),
            FusedConv(visual.conv2, visual.bn2, place, relu=True, side=side // 2),
            FusedConv(visual.conv3, visual.bn3, place, relu=True, side=side // 2),
            visual.avgpool,
        )
        self.blocks = nn.Sequential()
        for i in range(4):
            stage = cast(nn.Sequential, getattr(visual, f"layer{i + 1}"))
            for j, block in enumerate(stage):
                after = side // 4 // 2**i
                before = 2 * after if i and not j else after
                self.blocks.append(_Block(cast(Bottleneck, block), place, before, after))
        self.pool = SingleQueryPool(visual.attnpool, place.wide)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)``, sides at least 32, to features ``(N, D)``."""
        return self.pool(self.blocks(self.stem(x)), pos_embedding)


class _Block(nn.Module):
    def __init__(self, block: Bottleneck, place: Placement, before: int, after: int) -> None:
        super().__init__()
        self.narrow = FusedConv(block.conv1, block.bn1, place, relu=True, side=before)
        self.spatial = FusedConv(block.conv2, block.bn2, place, relu=True, side=before)
        self.pool = block.avgpool
        self.widen = FusedConv(block.conv3, block.bn3, place, relu=True, side=after)
        self.shortcut = nn.Sequential()
        if block.downsample is not None:
            pool, conv, norm = block.downsample
            conv, norm = cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)
            self.shortcut.extend([pool, FusedConv(conv, norm, place, relu=False, side=after)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.spatial(self.narrow(x)))
        return self.widen(y, self.shortcut(x))


class SingleQueryPool(nn.Module):
    """`AttentionPool` with its one query carried through to the tokens.

    ``q · (W_k t + b_k)`` equals ``(W_kᵀ q) · t`` plus a constant that the softmax ignores, and a
    weighted mean of ``W_v t + b_v`` equals ``W_v`` of the weighted mean, plus ``b_v``. So no
    token needs its key or value: two products of the width squared take the place of two for
    each of the map's tokens.

    A feature can be a small difference of large pooled values. Where each token had a value of its
    own, their rounding errors averaged out; a single one would show, hence `Placement.wide`.
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


class InferenceTransformer(nn.Module):
    """`VisionTransformer` with fused layers and a last block for the class token alone."""

    def __init__(self, visual: VisionTransformer, place: Placement) -> None:
        super().__init__()
        self.patches = place.put(visual.conv1.weight).contiguous(memory_format=torch.channels_last)
        self.class_embedding = place.put(visual.class_embedding)
        self.positions = place.put(visual.positional_embedding)
        self.norm_before = _Norm(visual.ln_pre, place)
        self.blocks = nn.ModuleList(
            _Layer(cast(ResidualAttentionBlock, block), place)
            for block in visual.transformer.resblocks
        )
        self.norm_after = _Norm(visual.ln_post, place)
        self.proj = place.put(visual.proj)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)``, sides at least one patch, to features ``(N, D)``."""
        x = F.conv2d(x, self.patches, stride=self.patches.shape[-1])
        rows, cols = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(x), 1, -1), tokens], dim=1)
        if pos_embedding:
            tokens = tokens + resized_positions(self.positions, rows, cols)
        tokens = self.norm_before(tokens)
        for i, block in enumerate(self.blocks, 1):
            tokens = block(tokens, 1 if i == len(self.blocks) else None)
        return self.norm_after(tokens[:, 0]) @ self.proj


class _Norm(nn.Module):
    def __init__(self, norm: nn.LayerNorm, place: Placement) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = place.put(norm.weight), place.put(norm.bias), norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


class _Layer(nn.Module):
    """`ResidualAttentionBlock`; QuickGELU is SiLU between two scalings, which weights take in."""

    def __init__(self, block: ResidualAttentionBlock, place: Placement) -> None:
        super().__init__()
        attn = block.attn
        widen, gelu, narrow = block.mlp
        widen, narrow = cast(nn.Linear, widen), cast(nn.Linear, narrow)
        self.heads, self.key_dim = attn.num_heads, attn.embed_dim // attn.num_heads
        self.norm_1, self.norm_2 = _Norm(block.ln_1, place), _Norm(block.ln_2, place)
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

    def forward(self, x: Tensor, queries: int | None = None) -> Tensor:
        """``(N, L, width)`` to ``(N, queries, width)``: the first tokens' states, or all."""
        normed = self.norm_1(x)
        query = self._by_head(self.query(normed[:, :queries]))[0]
        key, value = self._by_head(self.key_value(normed))
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = self.out(mixed, x[:, :queries])
        return self.narrow(self.widen(self.norm_2(x)), x)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.heads, self.key_dim)).permute(2, 0, 3, 1, 4)
