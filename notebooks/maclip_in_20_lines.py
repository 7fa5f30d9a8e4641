"""MA-CLIP, the whole of it: torch and a CLIP, nothing else, to paste wherever it is needed.

Liao et al., "Beyond Cosine Similarity", AAAI 2026, arXiv:2511.09948. With open_clip, for example:

    clip = open_clip.create_model("RN50-quickgelu", pretrained="openai").eval()
    picture = torchvision.io.decode_image("photo.jpg", mode="RGB") / 255
    print(maclip_score(clip, open_clip.get_tokenizer("RN50"), picture))
"""

import torch
import torch.nn.functional as F

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PROMPTS = [
    *("Good image", "bad image", "Sharp image", "blurry image", "sharp edges", "blurry edges"),
    *("High resolution image", "low resolution image", "Noise-free image", "noisy image"),
]


@torch.inference_mode()
def maclip_score(clip, tokenize, picture, lam=0.5, base_cos=1.0, base_norm=0.6, alpha=1.0):
    """Score of ``picture``, ``(3, H, W)`` in [0, 1] with H and W at least 224; higher is better.

    Sets the positional embedding of ``clip.visual``, which MA-CLIP leaves out, to zero for good.
    """
    getattr(clip.visual, "attnpool", clip.visual).positional_embedding.zero_()
    x = (picture - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    windows = x.unfold(1, 224, 128).unfold(2, 224, 128).permute(1, 2, 0, 3, 4).flatten(0, 1)
    whole = F.interpolate(x[None], (224, 224), mode="bilinear", align_corners=False)
    f, t = clip.encode_image(torch.cat([windows, whole])), clip.encode_text(tokenize(PROMPTS))
    logits = clip.logit_scale.exp() * F.normalize(f, dim=1) @ F.normalize(t, dim=1).T
    q_cos = torch.sigmoid(logits[:, 0::2] - logits[:, 1::2]).mean(1)
    a = f.abs() / (f.abs().std(1, keepdim=True) + 1e-6)
    q_mag = (((a + 1) ** lam - 1) / lam).mean(1)  # lam = 0 would be log(a + 1)
    w = torch.sigmoid(base_cos - base_norm + 2 * alpha * (q_cos - q_mag))
    return (w * q_cos + (1 - w) * q_mag).mean().item()
