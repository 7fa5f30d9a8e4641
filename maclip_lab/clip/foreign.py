"""Any other loaded CLIP, as the method takes it.

What an object needs, as itself or, where open_clip keeps it, on its ``visual``:

- ``encode_image(crops)``, normalised ``(P, 3, S, S)`` to raw features ``(P, D)``;
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
_FAILURES = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)


class Encoders(Protocol):
    """What is called of a loaded CLIP."""

    encode_image: Callable[[Tensor], Tensor]
    encode_text: Callable[[object], Tensor]


class ForeignClip(nn.Module):
    """A copy of a loaded CLIP in evaluation mode, with ``embed_dim`` D and a ``sha256``.

    Raises:
        TypeError: it lacks something of the protocol.
        ValueError: it has no weights to hash, or its features are not what the method reads.
    """

    factor: Tensor
    shift: Tensor

    def __init__(self, model: Encoders, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.kind = f"{type(model).__module__}.{type(model).__qualname__}"
        try:
            self.model = copy.deepcopy(model)
            state = model.state_dict()  # type: ignore[attr-defined]
            sides = torch.as_tensor(_found(model, "image_size")).flatten().unique().tolist()
            mean, std = (torch.as_tensor(_found(model, f"image_{n}")) for n in ("mean", "std"))
            mean, std = (values.float().cpu().reshape(3, 1, 1) for values in (mean, std))
            self.logit_scale = torch.as_tensor(_found(model, "logit_scale")).detach().float()
            scale, bias = float(self.logit_scale), getattr(model, "logit_bias", None)
            self.logit_bias = None if bias is None else float(torch.as_tensor(bias).detach())
            if len(sides) != 1:
                raise ValueError(f"its image_size {sides} is not the side of a square")
            self.image_size = int(sides[0])
        except _FAILURES as error:
            raise TypeError(
                f"{self.kind} is no CLIP as described in maclip_lab.clip.foreign: {error}"
            ) from error
        if not state or not all(isinstance(value, Tensor) for value in state.values()):
            raise ValueError(
                f"the weights of {self.kind} cannot be hashed, so a feature store could not tell "
                "it from another: let state_dict() return every tensor its features depend on"
            )
        if abs(scale) > 10:
            raise ValueError(f"logit_scale is a logarithm, CLIP's is 4.6; got {scale:g}")
        self.register_buffer("factor", torch.tensor(CLIP_STD).reshape(3, 1, 1) / std)
        self.register_buffer("shift", (torch.tensor(CLIP_MEAN).reshape(3, 1, 1) - mean) / std)
        layers = repr(model) if isinstance(model, nn.Module) else ""
        kinds = [(tuple(tensor.shape), tensor.dtype) for tensor in state.values()]
        facts = self.kind, layers, self.image_size, mean.tolist(), std.tolist(), kinds
        self.sha256 = weights_sha256(state, map(str, facts))
        self.eval().float().requires_grad_(False).to(next(iter(state.values())).device)
        self.embed_dim = self._probe()

    @torch.inference_mode()
    def forward(self, crops: Tensor, pos_embedding: bool = True) -> Tensor:
        """Crops normalised by CLIP's mean and deviation to features; positions are kept."""
        factor, shift = self.factor.to(crops.dtype), self.shift.to(crops.dtype)
        return self.model.encode_image((crops * factor + shift).contiguous())

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Text features ``(T, D)`` in float32."""
        tokens = list(texts) if self.tokenizer is None else self.tokenizer(list(texts))
        if isinstance(tokens, Mapping):
            raise TypeError(
                f"the tokenizer gives several things ({', '.join(map(str, tokens))}), not tokens: "
                "make it a function of texts that returns .input_ids as a tensor"
            )
        tokens = tokens.to(self.factor.device) if isinstance(tokens, Tensor) else tokens
        return self.model.encode_text(tokens).float()

    def _probe(self) -> int:
        """The features' dimensions, of noise and two texts that are what they should be."""
        size = (4, 3, self.image_size, self.image_size)
        crops = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(self.factor.device)
        try:
            images, texts = self(crops).float(), self.encode_texts(["good", "bad"])
            finite = bool(torch.isfinite(images).all() and torch.isfinite(texts).all())
            fits = finite and images.shape == (4, texts.shape[1]) and len(texts) == 2
        except _FAILURES as error:
            given = "strings" if self.tokenizer is None else "tokens"
            raise ValueError(
                f"{self.kind} cannot encode crops {size} and two texts ({given}; tokenizer= makes "
                f"tokens): {type(error).__name__}: {error}"
            ) from error
        if not fits:
            raise ValueError(
                f"{self.kind} makes of 4 crops and 2 texts {tuple(images.shape)} and "
                f"{tuple(texts.shape)}, not finite features of one length, (4, D) and (2, D)"
            )
        if bool(((images.norm(dim=1) - 1).abs() < 1e-3).all()):
            raise ValueError(
                f"{self.kind} returns image features that are L2-normalised, all of length 1; the "
                "magnitude cue needs them raw: leave the normalisation out (normalize=False)"
            )
        return texts.shape[1]


def weights_sha256(state: Mapping[str, Tensor], facts: Iterable[str] = ()) -> str:
    """Hash of named tensors, to the bit, after some facts."""
    content = hashlib.sha256("".join(facts).encode())
    for name, tensor in state.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        content.update(name.encode() + b"\0")
        content.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy lacks bfloat16
    return content.hexdigest()


def _found(model: object, name: str) -> object:
    """An attribute of the model, or of its image tower."""
    for owner in (model, getattr(model, "visual", None)):
        if getattr(owner, name, None) is not None:
            return getattr(owner, name)
    wrapped = isinstance(getattr(model, "module", None), nn.Module)
    hint = "; it wraps a model (DataParallel): give its .module" if wrapped else ""
    raise AttributeError(f"it has no {name}{hint}")
