"""CLIP's two towers, with the raw image feature the method needs (arXiv:2511.09948, section 3).

It comes before L2 normalisation, and without the visual positional embedding unless that is asked
for. Tensor names are OpenAI's. Architecture: Radford et al., "Learning Transferable Visual Models
From Natural Language Supervision", ICML 2021, arXiv:2103.00020, section 2.4.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Every CLIP's pictures are normalised with these, by channel, of values from 0 to 1."""


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU that OpenAI's checkpoints were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        """``x * sigmoid(1.702 x)``, any shape."""
        return x * torch.sigmoid(1.702 * x)


class Bottleneck(nn.Module):
    """Residual block whose stride is an average pool, so that it loses no phase."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int) -> None:
        super().__init__()
        outplanes = planes * self.expansion
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(planes, outplanes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outplanes)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inplanes != outplanes:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            conv = nn.Conv2d(inplanes, outplanes, 1, bias=False)
            layers = {"-1": pool, "0": conv, "1": nn.BatchNorm2d(outplanes)}
            self.downsample = nn.Sequential(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inplanes, H, W)`` to ``(N, 4 planes, H/stride, W/stride)``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.avgpool(F.relu(self.bn2(self.conv2(y))))
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


def resized_positions(positions: Tensor, rows: int, cols: int) -> Tensor:
    """Positional embedding ``(1 + side², D)`` for a token grid of another size, bicubically."""
    first, grid = positions[:1], positions[1:]
    side = math.isqrt(len(grid))
    if (rows, cols) == (side, side):
        return positions
    grid = grid.T.reshape(1, -1, side, side)
    grid = F.interpolate(grid, size=(rows, cols), mode="bicubic", align_corners=False)
    return torch.cat([first, grid.flatten(2)[0].T])


def _drawn(*shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(nn.init.normal_(torch.empty(shape), std=std))


class AttentionPool(nn.Module):
    """Pools a feature map by one attention query, the map's mean."""

    def __init__(self, side: int, width: int, heads: int, output_dim: int) -> None:
        super().__init__()
        self.positional_embedding = _drawn(side**2 + 1, width, std=width**-0.5)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, output_dim)
        self.heads = heads

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Feature map ``(N, C, H, W)`` to features ``(N, D)``."""
        rows, cols = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        if pos_embedding:
            tokens = tokens + resized_positions(self.positional_embedding, rows, cols)
        query = self._by_head(self.q_proj(tokens[:, :1]))
        key, value = self._by_head(self.k_proj(tokens)), self._by_head(self.v_proj(tokens))
        pooled = F.scaled_dot_product_attention(query, key, value)
        return self.c_proj(pooled.transpose(1, 2).flatten(1))

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class ModifiedResNet(nn.Module):
    """CLIP's ResNet: a three-convolution stem, anti-aliased strides, attention pooling."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self, layers: tuple[int, ...], width: int, image_size: int, embed_dim: int
    ) -> None:
        super().__init__()
        self.image_size, self.embed_dim = image_size, embed_dim
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        inplanes = width
        for i, blocks in enumerate(layers):
            planes = width * 2**i
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(Bottleneck(inplanes, planes, stride=2 if i > 0 and block == 0 else 1))
                inplanes = planes * Bottleneck.expansion
            self.add_module(f"layer{i + 1}", stage)
        self.attnpool = AttentionPool(image_size // 32, inplanes, inplanes // 64, embed_dim)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)``, sides at least 32, to features ``(N, D)``."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.avgpool(F.relu(self.bn3(self.conv3(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.attnpool(x, pos_embedding)


class ResidualAttentionBlock(nn.Module):
    """Pre-norm transformer block, a head for every 64 dimensions.

    A ``causal`` one lets a token see only itself and earlier ones.
    """

    def __init__(self, width: int, act: type[nn.Module], causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.attn = nn.MultiheadAttention(width, max(1, width // 64), batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        widen, narrow = nn.Linear(width, width * 4), nn.Linear(width * 4, width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=widen, gelu=act(), c_proj=narrow))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, L, width)`` to the same shape."""
        attn = self.attn
        qkv = F.linear(self.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
        query, key, value = qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x = x + attn.out_proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.ln_2(x))


def _transformer(
    width: int, layers: int, act: type[nn.Module], *, causal: bool = False
) -> nn.Sequential:
    blocks = (ResidualAttentionBlock(width, act, causal) for _ in range(layers))
    return nn.Sequential(OrderedDict(resblocks=nn.Sequential(*blocks)))


class VisionTransformer(nn.Module):
    """CLIP's ViT: patches, a class token, and the projection of its final state."""

    def __init__(
        self,
        image_size: int,
        patch: int,
        width: int,
        layers: int,
        embed_dim: int,
        act: type[nn.Module] = QuickGELU,
    ) -> None:
        super().__init__()
        self.image_size, self.embed_dim = image_size, embed_dim
        scale = width**-0.5
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = _drawn(width, std=scale)
        self.positional_embedding = _drawn((image_size // patch) ** 2 + 1, width, std=scale)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = _transformer(width, layers, act)
        self.ln_post = nn.LayerNorm(width)
        self.proj = _drawn(width, embed_dim, std=scale)

    def forward(self, x: Tensor, pos_embedding: bool = False) -> Tensor:
        """Images ``(N, 3, H, W)``, sides at least one patch, to features ``(N, D)``."""
        x = self.conv1(x)
        rows, cols = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_embedding.expand(len(x), 1, -1), tokens], dim=1)
        if pos_embedding:
            tokens = tokens + resized_positions(self.positional_embedding, rows, cols)
        tokens = self.ln_pre(tokens)
        for block in self.transformer:  # as one call it would keep its input, and memory churns
            tokens = block(tokens)
        return self.ln_post(tokens[:, 0]) @ self.proj


class CLIP(nn.Module):
    """An image tower and a text tower that share an embedding of D dimensions.

    Build one from published tensors with `build_clip`. ``image_size`` is the side in pixels of the
    square pictures it was trained on, ``context_length`` the tokens a text may have.
    """

    def __init__(
        self,
        visual: ModifiedResNet | VisionTransformer,
        *,
        context_length: int,
        vocab_size: int,
        text_width: int,
        text_layers: int,
        act: type[nn.Module] = QuickGELU,
    ) -> None:
        super().__init__()
        self.embed_dim, self.image_size = visual.embed_dim, visual.image_size
        self.context_length = context_length
        self.visual = visual
        self.transformer = _transformer(text_width, text_layers, act, causal=True)
        self.token_embedding = nn.Embedding(vocab_size, text_width)
        self.positional_embedding = _drawn(context_length, text_width, std=0.01)
        self.ln_final = nn.LayerNorm(text_width)
        self.text_projection = _drawn(text_width, self.embed_dim, std=text_width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def quick_gelu(self) -> bool:
        """Whether the transformers' activation is QuickGELU, which the tensors do not tell."""
        return any(isinstance(module, QuickGELU) for module in self.transformer.modules())

    def encode_image(self, images: Tensor, pos_embedding: bool = False) -> Tensor:
        """Raw image features ``(N, D)``, not L2-normalised, of normalised ``(N, 3, H, W)``.

        ``pos_embedding`` adds the visual positional embedding, resized bicubically to the picture's
        token grid; MA-CLIP leaves it out.
        """
        return self.visual(images, pos_embedding)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Raw text features ``(N, D)`` of token ids ``(N, L)``, L at most `context_length`.

        The state at the end-of-text token, which has the largest id, is the text's feature.
        """
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer(x))
        return x[torch.arange(len(x), device=x.device), tokens.argmax(-1)] @ self.text_projection


def untrained_clip(state: Mapping[str, Tensor], seed: int, *, quick_gelu: bool = True) -> CLIP:
    """A frozen CLIP of these tensors' shapes that nobody has trained, in evaluation mode.

    Every weight is drawn as PyTorch draws it for a new network, so that what such a network shows
    is owed to the architecture and to luck. Batch norms have seen no picture: they change nothing.

    Of the tensors, under OpenAI's names, shapes alone matter; the global random state stays.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = _shaped_clip(state, quick_gelu)
        nn.init.normal_(clip.token_embedding.weight, std=0.02)
    return clip.eval().requires_grad_(False)


def build_clip(state: Mapping[str, Tensor], *, quick_gelu: bool = True) -> CLIP:
    """A frozen CLIP in float32 evaluation mode, its architecture read off the tensors' shapes.

    The tensors are under OpenAI's names; ``quick_gelu=False`` means exact GELU.

    Raises:
        ValueError: tensors are missing, left over or of the wrong shape.
    """
    owned = {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else None, copy=True)
        for name, tensor in state.items()
        if name not in ("input_resolution", "context_length", "vocab_size")
    }
    try:
        with torch.device("meta"), _Undrawn():
            clip = _shaped_clip(state, quick_gelu)
        clip.load_state_dict(owned, assign=True)
    except (KeyError, RuntimeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(
            "expected the tensors of a CLIP under OpenAI's names with a ModifiedResNet or "
            f"VisionTransformer image tower, got {sorted(state)[:5]} ...: {reason}"
        ) from error
    return clip.eval().requires_grad_(False)


class _Undrawn(TorchFunctionMode):
    """Modules made within are empty: drawing random weights takes longer than loading them.

    On the meta device alone they would still be drawn, by code that imports a compiler.
    """

    def __torch_function__(
        self, func: Any, types: object, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _shaped_clip(state: Mapping[str, Tensor], quick_gelu: bool) -> CLIP:
    """A CLIP whose tensors have these shapes, its weights as PyTorch draws them."""
    act = QuickGELU if quick_gelu else nn.GELU
    visual: ModifiedResNet | VisionTransformer
    if "visual.proj" in state:
        width, _, patch, _ = state["visual.conv1.weight"].shape
        image_size = patch * math.isqrt(len(state["visual.positional_embedding"]) - 1)
        layers = _count(state, "visual.transformer.resblocks.")
        embed_dim = state["visual.proj"].shape[1]
        visual = VisionTransformer(image_size, patch, width, layers, embed_dim, act)
    else:
        stages = tuple(_count(state, f"visual.layer{i}.") for i in (1, 2, 3, 4))
        width = len(state["visual.layer1.0.conv1.weight"])
        image_size = 32 * math.isqrt(len(state["visual.attnpool.positional_embedding"]) - 1)
        embed_dim = len(state["visual.attnpool.c_proj.weight"])
        visual = ModifiedResNet(stages, width, image_size, embed_dim)
    return CLIP(
        visual,
        context_length=len(state["positional_embedding"]),
        vocab_size=len(state["token_embedding.weight"]),
        text_width=len(state["text_projection"]),
        text_layers=_count(state, "transformer.resblocks."),
        act=act,
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of consecutive indices found directly below ``prefix``."""
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
