"""Known harm: twenty-four of KADID-10k's twenty-five degradation types, each at any severity.

Every type is a small function of the picture, a severity in (0, 1] and a seeded generator. The
five levels are severities 0.2 to 1.0, spaced so that equal levels of different types look about
equally bad. Fading to grey is the type left out: a grey photograph is not a poor one. Arithmetic
is element-wise float64 with one rounding at the end and random numbers come from PCG64, so equal
seeds give equal bytes; the three codecs (``jpeg``, ``jpeg2000``, ``colour_quantisation``) are
Pillow's and change only with its version.

Types after Lin, Hosu, Saupe, "KADID-10k: A Large-scale Artificially Distorted IQA Database",
QoMEX 2019; functions and strengths are this project's own.
"""

import io
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, signal

Pixels = NDArray[np.uint8]
Planes = NDArray[np.float64]
Degradation = Callable[[Pixels, float, np.random.Generator], Pixels]

LEVELS = (1, 2, 3, 4, 5)
"""The levels of the bank; level ``l`` is severity ``l / 5``."""


def degrade(
    image: Pixels,
    name: str,
    *,
    level: int | None = None,
    severity: float | None = None,
    seed: int = 0,
) -> Pixels:
    """A degraded copy of one picture.

    Args:
        image: RGB, uint8, ``(H, W, 3)``.
        name: a key of ``DEGRADATIONS``.
        level: 1 (just visible) to 5 (severe); give this or ``severity``.
        severity: 0 (unchanged) to 1 (severe).
        seed: equal seeds give equal bytes.

    Returns:
        uint8 array of the same shape.

    >>> grey = np.full((32, 32, 3), 128, np.uint8)
    >>> int(degrade(grey, "mean_shift", severity=0.0).max())
    128
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise TypeError(f"expected a uint8 array (H, W, 3), got {kind}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"expected an RGB picture (H, W, 3), got shape {image.shape}")
    if name not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {name!r}; known: {', '.join(DEGRADATIONS)}")
    strength = _severity(level, severity)
    if strength == 0:
        return image.copy()
    stream = np.random.PCG64([seed, zlib.crc32(name.encode())])
    return DEGRADATIONS[name](image, strength, np.random.Generator(stream))


def _severity(level: int | None, severity: float | None) -> float:
    if (level is None) == (severity is None):
        raise ValueError(f"give either level or severity, got {level=} and {severity=}")
    if level is not None:
        if level not in LEVELS:
            raise ValueError(f"level is one of {LEVELS}, got {level!r}")
        return level / len(LEVELS)
    strength = float(severity if severity is not None else 0.0)
    if not 0 <= strength <= 1:
        raise ValueError(f"severity lies in [0, 1], got {severity!r}")
    return strength


def gaussian_blur(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Out of focus, Gaussian point spread, sigma 0.5 to 6 pixels."""
    return _to_pixels(_smooth(image.astype(np.float64), _between(0.5, 6.0, severity)))


def lens_blur(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Out of focus through a round aperture, radius 0.9 to 9 pixels."""
    radius = _between(0.9, 9.0, severity)
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _convolve(image, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def motion_blur(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """A straight camera movement of 3 to 32 pixels in a random direction."""
    length = _between(3.0, 32.0, severity)
    angle = generator.uniform(0, np.pi)
    reach = int(np.ceil(length / 2))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = np.abs(x * np.cos(angle) + y * np.sin(angle))
    across = np.abs(-x * np.sin(angle) + y * np.cos(angle))
    return _convolve(image, np.clip(1 - across, 0, 1) * np.clip(length / 2 + 0.5 - along, 0, 1))


def colour_diffusion(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Colour bleeds over edges: chroma blurred by sigma 3 to 30 pixels, up to 3 times as strong."""
    luma, chroma = _split(image)
    spread = _smooth(chroma, _between(3.0, 30.0, severity))
    return _join(luma, spread * (1 + 2 * severity))


def colour_shift(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Red and blue slip apart by 1 to 14 pixels each in a random direction."""
    angle = generator.uniform(0, 2 * np.pi)
    step = _between(1.0, 14.0, severity) * np.array([np.sin(angle), np.cos(angle)])
    planes = image.astype(np.float64)
    for channel, slip in ((0, step), (2, -step)):
        plane = planes[..., channel]
        planes[..., channel] = ndimage.shift(plane, slip, order=1, mode="nearest")
    return _to_pixels(planes)


def colour_quantisation(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """A palette of 40 down to 3 colours, without dithering."""
    colours = round(_between(40, 3, severity))
    palette = Image.fromarray(image).quantize(
        colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
    return np.asarray(palette.convert("RGB"))


def oversaturation(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Colours are pushed 1.3 to 8 times."""
    luma, chroma = _split(image)
    return _join(luma, chroma * _between(1.3, 8.0, severity))


def jpeg(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """JPEG compression, quality 45 down to 3."""
    return _recode(image, "JPEG", quality=round(_between(45, 3, severity)))


def jpeg2000(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """JPEG 2000 compression by 20 to 250 times."""
    layers = [_between(20, 250, severity)]
    how = {"quality_mode": "rates", "quality_layers": layers, "irreversible": True}
    return _recode(image, "JPEG2000", **how)


def white_noise(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Gaussian noise in every channel, standard deviation 4 to 65 grey levels."""
    noise = generator.standard_normal(image.shape)
    return _to_pixels(image + _between(4.0, 65.0, severity) * noise)


def colour_noise(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Gaussian noise mostly in the colour differences, standard deviation 6 to 75."""
    luma, chroma = _split(image)
    sigma = _between(6.0, 75.0, severity)
    grain = generator.standard_normal(image.shape)
    return _join(luma + 0.3 * sigma * grain[..., :1], chroma + sigma * grain[..., 1:])


def impulse_noise(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Salt and pepper on 0.3 to 25 per cent of the pixels."""
    draw = generator.random(image.shape[:2])
    share = _between(0.003, 0.25, severity)
    result = image.copy()
    result[draw < share / 2] = 0
    result[draw > 1 - share / 2] = 255
    return result


def speckle(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Multiplicative Gaussian noise, relative standard deviation 0.04 to 0.8."""
    noise = generator.standard_normal(image.shape)
    return _to_pixels(image * (1 + _between(0.04, 0.8, severity) * noise))


def denoise(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Noise smeared by an eager noise filter: wax where texture was."""
    noise = generator.standard_normal(image.shape)
    noisy = _to_pixels(image + _between(6.0, 55.0, severity) * noise)
    size = 3 if severity <= 0.5 else 5
    filtered = ndimage.median_filter(noisy, size=(size, size, 1), mode="reflect")
    return _to_pixels(_smooth(filtered.astype(np.float64), _between(0.5, 2.2, severity)))


def brighten(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Over-exposure: light gained 1.15 to 3 times, highlights clipped."""
    return _to_pixels(image * _between(1.15, 3.0, severity))


def darken(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Under-exposure: light down to 85 and at worst 12 per cent."""
    return _to_pixels(image * _between(0.85, 0.12, severity))


def mean_shift(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """A constant of 15 to 120 grey levels added or taken away."""
    sign = 1 if generator.random() < 0.5 else -1
    return _to_pixels(image + sign * _between(15.0, 120.0, severity))


def jitter(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Every pixel is taken from a random neighbour, 0.5 to 6 pixels away."""
    height, width = image.shape[:2]
    reach = _between(0.5, 6.0, severity)
    offset = np.rint(generator.uniform(-1, 1, (2, height, width)) * reach).astype(np.int64)
    y, x = np.mgrid[:height, :width]
    return image[np.clip(y + offset[0], 0, height - 1), np.clip(x + offset[1], 0, width - 1)]


def patch_shuffle(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Small patches show their neighbourhood instead (KADID's "non-eccentricity patch")."""
    height, width = image.shape[:2]
    side = min(16, height, width)
    count = max(1, round(_between(0.04, 1.0, severity) * height * width / side**2))
    result = image.copy()
    tops = generator.integers(0, height - side + 1, count)
    lefts = generator.integers(0, width - side + 1, count)
    moves = generator.integers(-2 * side, 2 * side + 1, (count, 2))
    for top, left, (down, right) in zip(tops, lefts, moves, strict=True):
        y = int(np.clip(top + down, 0, height - side))
        x = int(np.clip(left + right, 0, width - side))
        result[top : top + side, left : left + side] = image[y : y + side, x : x + side]
    return result


def pixelate(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Low resolution shown large: blocks of 1.4 to 14 pixels."""
    block = _between(1.4, 14.0, severity)
    height, width = image.shape[:2]
    small = (max(1, round(width / block)), max(1, round(height / block)))
    reduced = Image.fromarray(image).resize(small, Image.Resampling.BOX)
    return np.asarray(reduced.resize((width, height), Image.Resampling.NEAREST))


def quantisation(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """24 down to 2 shades a channel."""
    steps = round(_between(24, 2, severity)) - 1
    return _to_pixels(np.rint(image / 255 * steps) / steps * 255)


def colour_block(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Transmission loss: squares of random flat colour over 1 to 40 per cent of the picture."""
    height, width = image.shape[:2]
    side = min(24, height, width)
    count = max(1, round(_between(0.01, 0.4, severity) * height * width / side**2))
    result = image.copy()
    tops = generator.integers(0, height - side + 1, count)
    lefts = generator.integers(0, width - side + 1, count)
    colours = generator.integers(0, 256, (count, 3), dtype=np.uint8)
    for top, left, colour in zip(tops, lefts, colours, strict=True):
        result[top : top + side, left : left + side] = colour
    return result


def oversharpen(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Halos: an unsharp mask of amount 1 to 14."""
    planes = image.astype(np.float64)
    return _to_pixels(planes + _between(1.0, 14.0, severity) * (planes - _smooth(planes, 1.6)))


def contrast_loss(image: Pixels, severity: float, generator: np.random.Generator) -> Pixels:
    """Haze: contrast about the mean down to 85 and at worst 12 per cent."""
    mean = image.mean()
    return _to_pixels(mean + _between(0.85, 0.12, severity) * (image - mean))


_BLURS = (gaussian_blur, lens_blur, motion_blur)
_COLOURS = (colour_diffusion, colour_shift, colour_quantisation, oversaturation)
_NOISES = (white_noise, colour_noise, impulse_noise, speckle, denoise)
_LIGHT = (brighten, darken, mean_shift)
_PLACES = (jitter, patch_shuffle, pixelate, quantisation, colour_block)
_BANK = (*_BLURS, *_COLOURS, jpeg, jpeg2000, *_NOISES, *_LIGHT, *_PLACES, oversharpen)
DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {function.__name__: function for function in (*_BANK, contrast_loss)}
)
"""Name to function, in KADID-10k's spirit; call them through ``degrade``."""


def _between(mild: float, severe: float, severity: float) -> float:
    """Geometric interpolation: equal steps of severity are equal ratios of strength."""
    return float(mild * (severe / mild) ** severity)


def _to_pixels(planes: NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def _smooth(planes: Planes, sigma: float) -> Planes:
    return ndimage.gaussian_filter(planes, (sigma, sigma, 0), mode="reflect", truncate=3.0)


def _convolve(image: Pixels, kernel: Planes) -> Pixels:
    reach = kernel.shape[0] // 2
    padded = np.pad(image.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    blurred = signal.fftconvolve(padded, (kernel / kernel.sum())[..., None], "valid", axes=(0, 1))
    return _to_pixels(blurred)


def _split(image: Pixels) -> tuple[Planes, Planes]:
    """Luma ``(H, W, 1)`` and the blue and red differences from it ``(H, W, 2)`` (BT.601)."""
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma[..., None], np.stack([blue - luma, red - luma], axis=-1)


def _join(luma: Planes, chroma: Planes) -> Pixels:
    grey = luma[..., 0]
    blue, red = chroma[..., 0] + grey, chroma[..., 1] + grey
    green = (grey - 0.299 * red - 0.114 * blue) / 0.587
    return _to_pixels(np.stack([red, green, blue], axis=-1))


def _recode(image: Pixels, codec: str, **how: object) -> Pixels:
    Image.fromarray(image).save(buffer := io.BytesIO(), codec, **how)
    return np.asarray(Image.open(buffer).convert("RGB"))
