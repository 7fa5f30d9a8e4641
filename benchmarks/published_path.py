"""The method run the plain way, as the baseline: nothing is kept, folded or left out.

One picture at a time: the prompts are encoded again for each, padded to the full context; the whole
picture is normalised before it is cut; all crops make one batch in the default memory format; the
towers run as written, and in attention pooling every token asks, although one answer is used.
"""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from maclip_lab.clip.model import CLIP, AttentionPool, ModifiedResNet
from maclip_lab.clip.tokenizer import tokenize
from maclip_lab.crops import NATIVE, normalise, prepare
from maclip_lab.cues import cosine_cue, magnitude_cue
from maclip_lab.fusion import FusionSettings, fuse
from maclip_lab.prompts import MACLIP_PROMPTS


@torch.inference_mode()
def published_score(image: Image.Image, clip: CLIP) -> float:
    """MA-CLIP's score of one picture.

    Args:
        image: RGB.
        clip: in the default memory format, on the device to use.
    """
    device = clip.logit_scale.device
    texts = clip.encode_text(tokenize([t for pair in MACLIP_PROMPTS for t in pair]).to(device))
    features = encode_plainly(clip, published_crops(image).to(device))
    q_cos = cosine_cue(features, texts, float(clip.logit_scale.exp())).mean(-1)
    return float(fuse(q_cos, magnitude_cue(features), FusionSettings())[0].mean())


def published_crops(image: Image.Image) -> Tensor:
    """All crops ``(P, 3, 224, 224)`` of the normalised picture, the thumbnail last."""
    side, stride = NATIVE.crop, NATIVE.stride
    picture = normalise(torch.from_numpy(prepare(image)[0]).float()[None])[0]
    windows = picture.unfold(1, side, stride).unfold(2, side, stride)
    windows = windows.permute(1, 2, 0, 3, 4).reshape(-1, 3, side, side)
    small = F.interpolate(picture[None], (side, side), mode="bilinear", align_corners=False)
    return torch.cat([windows, small])


@torch.inference_mode()
def encode_plainly(clip: CLIP, crops: Tensor) -> Tensor:
    """Raw features ``(P, D)`` with every token asking in attention pooling."""
    tower = clip.visual
    if not isinstance(tower, ModifiedResNet):
        return tower(crops)
    x = F.relu(tower.bn1(tower.conv1(crops)))
    x = F.relu(tower.bn2(tower.conv2(x)))
    x = tower.avgpool(F.relu(tower.bn3(tower.conv3(x))))
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(tower, stage)(x)
    return _pool_plainly(tower.attnpool, x)


def _pool_plainly(pool: AttentionPool, x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
    query, key, value = (
        project(tokens).unflatten(-1, (pool.heads, -1)).transpose(1, 2)
        for project in (pool.q_proj, pool.k_proj, pool.v_proj)
    )
    mixed = F.scaled_dot_product_attention(query, key, value)
    return pool.c_proj(mixed.transpose(1, 2).flatten(2))[:, 0]
