"""The training pictures: photographs under known degradations, rendered once and kept on disk.

A sample is a 224-pixel view of a photograph, now and then its thumbnail, at a random scale, with
none to three degradations of random severity. Scales vary and stay harmless, so that size alone
never tells quality. Some mixtures imitate what cameras and networks do together: dark and noisy,
blurred and compressed, over-exposed and flat.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maclip_lab.crops import thumbnail
from maclip_lab.datasets.degradations import DEGRADATIONS, degrade

UNSEEN_TYPES = ("motion_blur", "speckle", "jpeg2000", "jitter", "denoise")
"""Held out of training altogether."""
SEEN_TYPES = tuple(name for name in DEGRADATIONS if name not in UNSEEN_TYPES)
MIXTURES = (
    ("darken", "white_noise"),
    ("darken", "colour_noise", "jpeg"),
    ("darken", "gaussian_blur", "white_noise"),
    ("lens_blur", "white_noise"),
    ("gaussian_blur", "jpeg"),
    ("lens_blur", "jpeg"),
    ("brighten", "contrast_loss"),
    ("contrast_loss", "gaussian_blur"),
    ("pixelate", "jpeg"),
    ("oversharpen", "jpeg"),
    ("gaussian_blur", "white_noise", "jpeg"),
)
MOST = 3
PHOTOGRAPH_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True)
class BankSettings:
    """What is rendered.

    Attributes:
        samples: number of pictures in the bank.
        side: of a picture, in pixels.
        validation: photographs kept back to choose between trained models.
        thumbnails: share of samples that show a whole photograph.
        scales: least and greatest random scale of a photograph.
        counts: shares of samples with none, one, two and three degradations.
        seed: of everything random.
    """

    samples: int = 12_000
    side: int = 224
    validation: int = 30
    thumbnails: float = 0.15
    scales: tuple[float, float] = (0.72, 1.3)
    counts: tuple[float, ...] = (0.14, 0.5, 0.24, 0.12)
    seed: int = 0


@dataclass(frozen=True)
class Bank:
    """Rendered samples.

    Attributes:
        pixels: ``(N, side, side, 3)`` uint8, memory-mapped.
        photograph: ``(N,)`` index of the photograph shown.
        types: ``(N, 3)`` index into ``SEEN_TYPES``, -1 for none.
        severities: ``(N, 3)`` in [0, 1].
        contents: ``(N, 8)`` what the undegraded view shows, from `content_of`.
    """

    pixels: NDArray[np.uint8]
    photograph: NDArray[np.int64]
    types: NDArray[np.int64]
    severities: NDArray[np.float64]
    contents: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.photograph)


def find_photographs(folder: Path) -> list[Path]:
    """Every photograph below a folder, in a fixed order.

    Raises:
        ValueError: there is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTOGRAPH_SUFFIXES)
    if not found:
        raise ValueError(f"no photographs ({', '.join(PHOTOGRAPH_SUFFIXES)}) below {folder}")
    return found


def split_photographs(
    paths: Sequence[Path], settings: BankSettings
) -> tuple[list[Path], list[Path]]:
    """Training and validation photographs, the same for every run and every model."""
    if settings.validation >= len(paths):
        raise ValueError(
            f"{len(paths)} photographs leave none to train on when {settings.validation} are kept "
            "back; give more photographs or lower validation"
        )
    order = np.random.Generator(np.random.PCG64(2026)).permutation(len(paths))
    kept = set(order[: settings.validation].tolist())
    training = [p for i, p in enumerate(paths) if i not in kept]
    return training, [p for i, p in enumerate(paths) if i in kept]


def draw_degradations(
    generator: np.random.Generator, settings: BankSettings
) -> list[tuple[str, float]]:
    """Names and severities for one sample, in the order they are applied."""
    count = int(generator.choice(len(settings.counts), p=settings.counts))
    if count == 0:
        return []
    if count == 1:
        return [(str(generator.choice(SEEN_TYPES)), float(generator.uniform(0.02, 1)))]
    realistic = [m for m in MIXTURES if len(m) == count]
    if generator.random() < 0.6:
        names: Sequence[str] = realistic[int(generator.integers(len(realistic)))]
    else:
        names = [str(n) for n in generator.choice(SEEN_TYPES, count, replace=False)]
    return [(name, float(generator.uniform(0.02, 0.8))) for name in names]


def render_sample(
    photograph: Image.Image, index: int, settings: BankSettings
) -> tuple[NDArray[np.uint8], list[tuple[str, float]]]:
    """Sample ``index`` of the bank, shown by this photograph."""
    generator = np.random.Generator(np.random.PCG64([settings.seed, index]))
    pixels, whole = _view(photograph, generator, settings)
    applied = draw_degradations(generator, settings)
    for position, (name, severity) in enumerate(applied):
        pixels = degrade(pixels, name, severity=severity, seed=index * MOST + position)
    if whole:
        small = np.rint(thumbnail(pixels, settings.side).numpy())
        pixels = small.astype(np.uint8).transpose(1, 2, 0)
    return pixels, applied


def view_content(
    photograph: Image.Image, index: int, settings: BankSettings
) -> NDArray[np.float64]:
    """What sample ``index`` shows before it is degraded, from `content_of`."""
    generator = np.random.Generator(np.random.PCG64([settings.seed, index]))
    return content_of(_view(photograph, generator, settings)[0])


def content_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Eight properties of a picture's content, ``(8,)``, in the order of ``CONTENTS``.

    Mean differences of colour, spread of colours and of light, strength of upright and lying
    edges, and whether the upper half is the lighter one.
    """
    red, green, blue = np.moveaxis(pixels[::2, ::2].astype(np.float64) / 255, -1, 0)
    light = (red + green + blue) / 3
    upright = np.abs(np.diff(light, axis=1)).mean()
    lying = np.abs(np.diff(light, axis=0)).mean()
    middle = light.shape[0] // 2
    return np.array(
        [
            (blue - red).mean(),
            (green - (red + blue) / 2).mean(),
            (np.maximum(np.maximum(red, green), blue) - light).mean(),
            light.std(),
            np.log(upright + lying + 1e-3),
            np.log((upright + 1e-3) / (lying + 1e-3)),
            light[:middle].mean() - light[middle:].mean(),
            (red - (green + blue) / 2).mean(),
        ]
    )


def _view(
    photograph: Image.Image, generator: np.random.Generator, settings: BankSettings
) -> tuple[NDArray[np.uint8], bool]:
    """The undegraded pixels of a sample, and whether they are a whole photograph."""
    side = settings.side
    scale = float(np.exp(generator.uniform(*np.log(settings.scales))))
    scale = max(scale, side / min(photograph.size))
    size = (max(side, round(photograph.width * scale)), max(side, round(photograph.height * scale)))
    pixels = np.asarray(photograph.resize(size, Image.Resampling.LANCZOS))
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    whole = generator.random() < settings.thumbnails
    if not whole:
        top = int(generator.integers(pixels.shape[0] - side + 1))
        left = int(generator.integers(pixels.shape[1] - side + 1))
        pixels = pixels[top : top + side, left : left + side]
    return np.ascontiguousarray(pixels), whole


def render_bank(paths: Sequence[Path], folder: Path, settings: BankSettings) -> Bank:
    """Render a bank into a folder, or go on where an earlier call stopped.

    Args:
        paths: training photographs, from `split_photographs`.
        folder: outside the repository; takes 150 kB a sample.
        settings: what is rendered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, settings)
    shown = np.arange(settings.samples) % len(paths)
    np.save(folder / "photograph.npy", shown)
    photographs = [Image.open(path).convert("RGB") for path in paths]
    shape = (settings.samples, settings.side, settings.side, 3)
    pixels = _array(folder / "pixels.npy", np.uint8, shape)
    types = _array(folder / "types.npy", np.int64, (settings.samples, MOST))
    severities = _array(folder / "severities.npy", np.float64, (settings.samples, MOST))
    contents = _array(folder / "contents.npy", np.float64, (settings.samples, 8))
    done = _array(folder / "done.npy", np.bool_, (settings.samples,))
    for i in np.flatnonzero(~done):
        pixels[i], applied = render_sample(photographs[shown[i]], int(i), settings)
        contents[i] = view_content(photographs[shown[i]], int(i), settings)
        types[i] = -1
        for position, (name, severity) in enumerate(applied):
            types[i, position] = SEEN_TYPES.index(name)
            severities[i, position] = severity
        done[i] = True
    for array in (pixels, types, severities, contents, done):
        array.flush()
    return Bank(pixels, shown, types, severities, contents)


def open_bank(folder: Path) -> Bank:
    """A bank that `render_bank` has finished.

    Raises:
        ValueError: the folder holds none, or one that is not finished.
    """
    if not (folder / "done.npy").exists() or not np.load(folder / "done.npy").all():
        raise ValueError(f"{folder} holds no finished bank; render it first (bank PHOTOS FOLDER)")
    return Bank(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        np.load(folder / "photograph.npy"),
        np.load(folder / "types.npy"),
        np.load(folder / "severities.npy"),
        np.load(folder / "contents.npy"),
    )


def _claim(folder: Path, settings: BankSettings) -> None:
    """Write the settings beside the bank; refuse a folder that holds another one."""
    note, wanted = folder / "bank.json", json.dumps(asdict(settings))
    if note.exists() and note.read_text() != wanted:
        raise ValueError(f"{folder} holds a bank with other settings; give another folder")
    note.write_text(wanted)


def _array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
