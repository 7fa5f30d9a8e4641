"""Known harm: twenty-four of KADID-10k's twenty-five degradation types, fading to grey left out.

Types after Lin, Hosu, Saupe, "KADID-10k: A Large-scale Artificially Distorted IQA Database", QoMEX
2019; strengths, at which equal levels look about equally bad, are this project's own. Equal seeds
give equal bytes; the codecs of ``jpeg``, ``jpeg2000`` and ``colour_quantisation`` are Pillow's.
"""

import io
import zlib

import numpy as np
import scipy
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Planes = NDArray[np.float64]

LEVELS = (1, 2, 3, 4, 5)
"""The levels of the bank; level ``l`` is severity ``l / 5``."""

DEGRADATIONS = (
    *("gaussian_blur", "lens_blur", "motion_blur", "colour_diffusion", "colour_shift"),
    *("colour_quantisation", "oversaturation", "jpeg", "jpeg2000", "white_noise", "colour_noise"),
    *("impulse_noise", "speckle", "denoise", "brighten", "darken", "mean_shift", "jitter"),
    *("patch_shuffle", "pixelate", "quantisation", "colour_block", "oversharpen", "contrast_loss"),
)
"""The types of degradation, in KADID-10k's spirit."""


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
        name: one of ``DEGRADATIONS``.
        level: 1 (just visible) to 5 (severe); give this or ``severity``.
        severity: 0 (unchanged) to 1 (severe).
        seed: equal seeds give equal bytes.

    Returns:
        uint8 array of the same shape.

    >>> grey = np.full((32, 32, 3), 128, np.uint8)
    >>> int(degrade(grey, "mean_shift", severity=0.0).max())
    128
    """
    kind, shape = getattr(image, "dtype", type(image).__name__), np.shape(image)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or image.size == 0:
        raise ValueError(f"expected a uint8 array (H, W, 3), got {kind} of shape {shape}")
    if name not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {name!r}; known: {', '.join(DEGRADATIONS)}")
    if (level is None) == (severity is None):
        raise ValueError(f"give either level or severity, got {level=} and {severity=}")
    strength = float(level / len(LEVELS) if level is not None else severity or 0)
    if not 0 <= strength <= 1:
        raise ValueError(f"level lies in 0 to 5 and severity in 0 to 1, got {level=}, {severity=}")
    if strength == 0:
        return image.copy()
    stream = np.random.PCG64([seed, zlib.crc32(name.encode())])
    return _to_pixels(_harmed(name, image, strength, np.random.Generator(stream)))


def _harmed(
    name: str, image: Pixels, severity: float, generator: np.random.Generator
) -> Pixels | Planes:
    """The picture with one type of harm, as pixels or before it is rounded to them."""

    def between(mild: float, severe: float) -> float:
        """Geometric interpolation: equal steps of severity are equal ratios of strength."""
        return float(mild * (severe / mild) ** severity)

    planes, (height, width) = image.astype(np.float64), image.shape[:2]
    match name:
        case "gaussian_blur":  # out of focus, sigma in pixels
            return _smooth(planes, between(0.5, 6.0))
        case "lens_blur":  # out of focus through a round aperture, radius in pixels
            radius = between(0.9, 9.0)
            y, x = _around(radius)
            return _convolve(planes, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))
        case "motion_blur":  # a straight movement of so many pixels in a random direction
            length, angle = between(3.0, 32.0), generator.uniform(0, np.pi)
            y, x = _around(length / 2)
            along = np.abs(x * np.cos(angle) + y * np.sin(angle))
            across = np.abs(-x * np.sin(angle) + y * np.cos(angle))
            line = np.clip(1 - across, 0, 1) * np.clip(length / 2 + 0.5 - along, 0, 1)
            return _convolve(planes, line)
        case "colour_diffusion":  # colour bleeds over edges, and is up to 3 times as strong
            luma, chroma = _split(planes)
            return _join(luma, _smooth(chroma, between(3.0, 30.0)) * (1 + 2 * severity))
        case "colour_shift":  # red and blue slip apart by so many pixels each
            angle = generator.uniform(0, 2 * np.pi)
            step = between(1.0, 14.0) * np.array([np.sin(angle), np.cos(angle)])
            for channel, slip in ((0, step), (2, -step)):
                plane = planes[..., channel]
                planes[..., channel] = scipy.ndimage.shift(plane, slip, order=1, mode="nearest")
            return planes
        case "colour_quantisation":  # a palette of 40 down to 3 colours, without dithering
            method, dither = Image.Quantize.MEDIANCUT, Image.Dither.NONE
            number = round(between(40, 3))
            palette = Image.fromarray(image).quantize(number, method=method, dither=dither)
            return np.asarray(palette.convert("RGB"))
        case "oversaturation":  # colours are pushed so many times
            luma, chroma = _split(planes)
            return _join(luma, chroma * between(1.3, 8.0))
        case "jpeg":  # quality 45 down to 3
            return _recode(image, "JPEG", quality=round(between(45, 3)))
        case "jpeg2000":  # compressed so many times
            how = {"quality_mode": "rates", "quality_layers": [between(20, 250)]}
            return _recode(image, "JPEG2000", irreversible=True, **how)
        case "white_noise":  # Gaussian, in every channel, deviation in grey levels
            return planes + between(4.0, 65.0) * generator.standard_normal(image.shape)
        case "colour_noise":  # Gaussian, mostly in the colour differences
            luma, chroma = _split(planes)
            sigma, grain = between(6.0, 75.0), generator.standard_normal(image.shape)
            return _join(luma + 0.3 * sigma * grain[..., :1], chroma + sigma * grain[..., 1:])
        case "impulse_noise":  # salt and pepper on a share of the pixels
            draw, share = generator.random(image.shape[:2]), between(0.003, 0.25)
            planes[draw < share / 2] = 0
            planes[draw > 1 - share / 2] = 255
            return planes
        case "speckle":  # multiplicative Gaussian noise, relative deviation
            return planes * (1 + between(0.04, 0.8) * generator.standard_normal(image.shape))
        case "denoise":  # noise smeared by an eager filter: wax where texture was
            noisy = planes + between(6.0, 55.0) * generator.standard_normal(image.shape)
            side = 3 if severity <= 0.5 else 5
            median = scipy.ndimage.median_filter(
                _to_pixels(noisy), size=(side, side, 1), mode="reflect"
            )
            return _smooth(median.astype(np.float64), between(0.5, 2.2))
        case "brighten":  # over-exposure, highlights clipped
            return planes * between(1.15, 3.0)
        case "darken":  # under-exposure
            return planes * between(0.85, 0.12)
        case "mean_shift":  # grey levels added or taken away
            sign = 1 if generator.random() < 0.5 else -1
            return planes + sign * between(15.0, 120.0)
        case "jitter":  # every pixel is a random neighbour's, so many pixels away
            shift = generator.uniform(-1, 1, (2, height, width)) * between(0.5, 6.0)
            y, x = np.mgrid[:height, :width] + np.rint(shift).astype(np.int64)
            return image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        case "patch_shuffle":  # small patches show their neighbourhood instead
            side, corners = _squares(image, 16, between(0.04, 1.0), generator)
            moves = generator.integers(-2 * side, 2 * side + 1, (len(corners), 2))
            origins = np.clip(corners + moves, 0, np.array([height - side, width - side]))
            for (top, left), (y, x) in zip(corners, origins, strict=True):
                patch = image[y : y + side, x : x + side]
                planes[top : top + side, left : left + side] = patch
            return planes
        case "pixelate":  # low resolution shown large, blocks of so many pixels
            block = between(1.4, 14.0)
            small = (max(1, round(width / block)), max(1, round(height / block)))
            reduced = Image.fromarray(image).resize(small, Image.Resampling.BOX)
            return np.asarray(reduced.resize((width, height), Image.Resampling.NEAREST))
        case "quantisation":  # 24 down to 2 shades a channel
            steps = round(between(24, 2)) - 1
            return np.rint(planes / 255 * steps) / steps * 255
        case "colour_block":  # transmission loss: squares of flat colour over a share
            side, corners = _squares(image, 24, between(0.01, 0.4), generator)
            colours = generator.integers(0, 256, (len(corners), 3), dtype=np.uint8)
            for (top, left), colour in zip(corners, colours, strict=True):
                planes[top : top + side, left : left + side] = colour
            return planes
        case "oversharpen":  # halos: an unsharp mask
            return planes + between(1.0, 14.0) * (planes - _smooth(planes, 1.6))
        case _:  # contrast loss: haze, contrast about the mean
            mean = image.mean()
            return mean + between(0.85, 0.12) * (planes - mean)


def _to_pixels(planes: NDArray[np.floating] | Pixels) -> Pixels:
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def _smooth(planes: Planes, sigma: float) -> Planes:
    return scipy.ndimage.gaussian_filter(planes, (sigma, sigma, 0), mode="reflect", truncate=3.0)


def _around(radius: float) -> NDArray[np.int_]:
    """Rows and columns of a kernel that reaches so far from its middle."""
    reach = int(np.ceil(radius))
    return np.mgrid[-reach : reach + 1, -reach : reach + 1]


def _squares(
    image: Pixels, side: int, share: float, generator: np.random.Generator
) -> tuple[int, NDArray[np.int_]]:
    """Side and corners of random squares that would cover a share of the picture."""
    height, width = image.shape[:2]
    side = min(side, height, width)
    count = max(1, round(share * height * width / side**2))
    tops = generator.integers(0, height - side + 1, count)
    return side, np.stack([tops, generator.integers(0, width - side + 1, count)], axis=-1)


def _convolve(planes: Planes, kernel: Planes) -> Planes:
    reach = kernel.shape[0] // 2
    padded = np.pad(planes, ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    kernel = (kernel / kernel.sum())[..., None]
    return scipy.signal.fftconvolve(padded, kernel, "valid", axes=(0, 1))


def _split(planes: Planes) -> tuple[Planes, Planes]:
    """Luma ``(H, W, 1)`` and the blue and red differences from it ``(H, W, 2)`` (BT.601)."""
    red, green, blue = np.moveaxis(planes, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma[..., None], np.stack([blue - luma, red - luma], axis=-1)


def _join(luma: Planes, chroma: Planes) -> Planes:
    grey = luma[..., 0]
    blue, red = chroma[..., 0] + grey, chroma[..., 1] + grey
    green = (grey - 0.299 * red - 0.114 * blue) / 0.587
    return np.stack([red, green, blue], axis=-1)


def _recode(image: Pixels, codec: str, **how: object) -> Pixels:
    Image.fromarray(image).save(buffer := io.BytesIO(), codec, **how)
    return np.asarray(Image.open(buffer).convert("RGB"))
