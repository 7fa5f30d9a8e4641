"""Any other loaded CLIP, as the method takes it.

What an object needs, as itself or, where open_clip keeps it, on its ``visual``:

- ``encode_image(crops)``, normalised ``(P, 3, S, S)`` to raw features ``(P, D)``: the method reads
  their absolute values, which L2 normalisation would put out of proportion;
- ``encode_text(tokens)`` to ``(T, D)``, of what the tokenizer makes of a list of strings, or
  without a tokenizer of the strings themselves;
- ``logit_scale``, the logarithm of the factor on the cosine, and ``logit_bias`` where it was
  trained with a sigmoid instead of a softmax;
- ``image_size`` S in pixels, ``image_mean`` and ``image_std`` of RGB in [0, 1];
- ``state_dict()``, all that its features depend on, as tensors.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from maclip_lab.clip.model import CLIP_MEAN, CLIP_STD

Tokenizer = Callable[[list[str]], object]
_PROBE = 4  # crops
_LARGEST_SCALE = 10.0  # of a logarithm: CLIP's ends at 4.6
_FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)


class Encoders(Protocol):
    """What is called of a loaded CLIP; see the module's docstring for what else it has."""

    def encode_image(self, crops: Tensor) -> Tensor:
        """Raw image features."""

    def encode_text(self, tokens: object) -> Tensor:
        """Text features."""


class ForeignClip(nn.Module):
    """A copy of a loaded CLIP in evaluation mode; training the original on changes nothing here.

    Args:
        model: see the module's docstring.
        tokenizer: what makes its tokens of strings; None where it takes strings.

    Attributes:
        embed_dim: D.
        image_size: side in pixels of the crops it takes.
        logit_scale: logarithm of the factor on the cosine.
        logit_bias: of a model trained with a sigmoid, else None.
        sha256: of its weights, its layers and how its pictures are normalised.

    Raises:
        TypeError: it lacks something of the protocol.
        ValueError: it has no weights to hash, or its features are not what the method reads.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, model: Encoders, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        for name in ("encode_image", "encode_text", "state_dict"):
            if not callable(getattr(model, name, None)):
                raise TypeError(
                    f"expected a backbone's name, a weights file or a loaded CLIP; "
                    f"{_kind(model)} has no {name}(), see maclip_lab.clip.foreign"
                )
        try:
            self.model = copy.deepcopy(model)
        except _FAILURES as error:
            raise ValueError(f"{_kind(model)} cannot be copied: {error}") from error
        if isinstance(self.model, nn.Module):
            self.model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.image_size = _side(_found(model, "image_size"))
        mean, std = (_channels(_found(model, name), name) for name in ("image_mean", "image_std"))
        self.register_buffer("factor", torch.tensor(CLIP_STD)[:, None, None] / std)
        self.register_buffer("shift", (torch.tensor(CLIP_MEAN)[:, None, None] - mean) / std)
        self.logit_scale = torch.as_tensor(_found(model, "logit_scale")).detach().float().cpu()
        if self.logit_scale.numel() != 1 or not abs(float(self.logit_scale)) < _LARGEST_SCALE:
            raise ValueError(
                f"expected logit_scale as a logarithm, CLIP's is 4.6, got {self.logit_scale}"
            )
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else float(bias)
        self.sha256 = _hash(self.model, [self.image_size, mean.tolist(), std.tolist()])
        self.float()
        self.embed_dim = self._probe()

    @torch.inference_mode()
    def forward(self, crops: Tensor, pos_embedding: bool = True) -> Tensor:
        """Crops normalised by CLIP's mean and deviation to features; positions are kept."""
        factor, shift = self.factor.to(crops.dtype), self.shift.to(crops.dtype)
        return self.model.encode_image((crops * factor + shift).contiguous())

    encode_image = forward

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Text features ``(T, D)`` in float32."""
        tokens = list(texts) if self.tokenizer is None else self.tokenizer(list(texts))
        if isinstance(tokens, Tensor):
            tokens = tokens.to(self.factor.device)
        return self.model.encode_text(tokens).float()

    def _probe(self) -> int:
        """The features' dimensions, of noise and two texts that are what they should be."""
        side, generator = self.image_size, torch.Generator().manual_seed(0)
        crops = torch.randn((_PROBE, 3, side, side), generator=generator)
        where = next((t.device for t in self.model.state_dict().values()), torch.device("cpu"))
        self.to(where)
        images = self._tried("encode_image", lambda: self(crops.to(where)), _PROBE)
        hint = "" if self.tokenizer else "; without tokenizer= it is given strings"
        texts = self._tried("encode_text", lambda: self.encode_texts(["good", "bad"]), 2, hint)
        if images.shape[1] != texts.shape[1]:
            raise ValueError(
                f"images have {images.shape[1]} dimensions and texts {texts.shape[1]}; both should "
                "be features in the common space"
            )
        lengths = images.float().norm(dim=1)
        if bool(((lengths - 1).abs() < 1e-3).all()):
            raise ValueError(
                "encode_image returns features that are L2-normalised already, all of length 1; "
                "the magnitude cue needs them raw: have it leave the normalisation out "
                "(normalize=False)"
            )
        return images.shape[1]

    def _tried(self, name: str, call: Callable[[], Tensor], rows: int, hint: str = "") -> Tensor:
        try:
            found = call()
        except _FAILURES as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{name} of {_kind(self.model)} failed, {reason}{hint}") from error
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != rows:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(f"{name} should give features ({rows}, D), got {shape}")
        if not bool(torch.isfinite(found).all()):
            raise ValueError(f"{name} of {_kind(self.model)} gives features that are not finite")
        return found


def weights_sha256(state: Mapping[str, Tensor], facts: Iterable[str] = ()) -> str:
    """Hash of named tensors, to the bit, after some facts."""
    content = hashlib.sha256("".join(facts).encode())
    for name, tensor in state.items():
        content.update(name.encode() + b"\0")
        flat = tensor.detach().cpu().contiguous().flatten()
        content.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy lacks bfloat16
    return content.hexdigest()


def _hash(model: Encoders, facts: list[object]) -> str:
    state = model.state_dict()  # type: ignore[attr-defined]
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(
            f"{_kind(model)} has a state_dict() of {'no' if not state else 'not only'} tensors, so "
            "its weights cannot be hashed, and a feature store could not tell it from another; "
            "let state_dict() return every tensor that its features depend on"
        )
    layers = repr(model) if isinstance(model, nn.Module) else ""
    kinds = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in state.values()]
    return weights_sha256(state, [type(model).__qualname__, layers, *map(str, facts), *kinds])


def _kind(model: object) -> str:
    return f"a {type(model).__module__}.{type(model).__qualname__}"


def _found(model: object, name: str) -> object:
    """An attribute of the model, or of its image tower."""
    for owner in (model, getattr(model, "visual", None)):
        value = getattr(owner, name, None)
        if value is not None:
            return value
    raise TypeError(f"{_kind(model)} has no {name}; set it as an attribute, as its training had it")


def _side(size: object) -> int:
    sides = {int(side) for side in size} if isinstance(size, Iterable) else {int(size)}  # type: ignore[call-overload]
    if len(sides) != 1 or min(sides) < 1:
        raise ValueError(f"expected image_size as the side of a square in pixels, got {size}")
    return sides.pop()


def _channels(values: object, name: str) -> Tensor:
    found = torch.as_tensor(values, dtype=torch.float32).flatten()
    if found.numel() != 3 or not bool(torch.isfinite(found).all()):
        raise ValueError(f"expected {name} of three channels, got {values}")
    return found[:, None, None]
