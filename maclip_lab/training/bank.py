"""The training pictures: views of photographs under known degradations, rendered once.

A view shows a part of a photograph, or all of it, at a random scale, with none to three
degradations of random severity. Scales vary and stay harmless, so that size alone never tells
quality, and the smallest shows the whole short side, so that a sentence can be matched. Some
mixtures imitate what cameras and networks do together: dark and noisy, defocused and compressed.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from maclip_lab.crops import thumbnail
from maclip_lab.datasets.degradations import DEGRADATIONS, degrade
from maclip_lab.files.atomic import write_bytes
from maclip_lab.training.captions import CONTENTS
from maclip_lab.training.photographs import Photograph, readable

UNSEEN_TYPES = ("motion_blur", "speckle", "jpeg2000", "jitter", "denoise")
"""Held out of training altogether."""
SEEN_TYPES = tuple(name for name in DEGRADATIONS if name not in UNSEEN_TYPES)
SUBTLE = (
    "colour_quantisation",
    "patch_shuffle",
    "jpeg",
    "mean_shift",
    "colour_diffusion",
    "brighten",
)
"""Types that earlier pilots told least well on validation photographs; alone, they come oftener."""
EMPHASIS = 2.0
MIXTURES = (
    ("darken", "white_noise"),
    ("darken", "contrast_loss"),
    ("lens_blur", "white_noise"),
    ("gaussian_blur", "jpeg"),
    ("lens_blur", "jpeg"),
    ("brighten", "contrast_loss"),
    ("brighten", "oversaturation"),
    ("contrast_loss", "gaussian_blur"),
    ("pixelate", "jpeg"),
    ("oversharpen", "jpeg"),
    ("darken", "colour_noise", "jpeg"),
    ("darken", "gaussian_blur", "white_noise"),
    ("lens_blur", "white_noise", "jpeg"),
    ("contrast_loss", "lens_blur", "colour_noise"),
    ("brighten", "gaussian_blur", "jpeg"),
    ("gaussian_blur", "white_noise", "jpeg"),
)
MOST = 3
_SKEW = 1.5  # towards small scales, whose views show most of a photograph
_BLOCK = 250


@dataclass(frozen=True)
class BankSettings:
    """What is rendered.

    Attributes:
        samples: number of views in the bank.
        side: of a view, in pixels.
        thumbnails: share of views that show a whole photograph, squeezed to a square.
        scales: least and greatest scale of a photograph; the least is raised until a view fits.
        counts: shares of views with none, one, two and three degradations.
        seed: of everything random.
    """

    samples: int = 60_000
    side: int = 128
    thumbnails: float = 0.12
    scales: tuple[float, float] = (0.45, 1.15)
    counts: tuple[float, ...] = (0.18, 0.48, 0.22, 0.12)
    seed: int = 0


@dataclass(frozen=True)
class Bank:
    """Rendered views; view ``i`` shows photograph ``i % P``.

    Attributes:
        pixels: ``(N, side, side, 3)`` uint8, memory-mapped.
        types: ``(N, 3)`` index into ``SEEN_TYPES``, -1 for none.
        severities: ``(N, 3)`` in [0, 1].
        contents: ``(N, 8)``, `content_of` every view before it was degraded.
        sentences: of each of the P photographs, none where nobody described it.
        identity: settings and digest of the photographs, by which a run knows its bank.
    """

    pixels: NDArray[np.uint8]
    types: NDArray[np.int64]
    severities: NDArray[np.float64]
    contents: NDArray[np.float64]
    sentences: tuple[tuple[str, ...], ...]
    identity: dict[str, object]

    def __len__(self) -> int:
        return len(self.types)


def draw_degradations(
    generator: np.random.Generator, settings: BankSettings
) -> list[tuple[str, float]]:
    """Names and severities for one view, in the order they are applied."""
    count = int(generator.choice(len(settings.counts), p=settings.counts))
    if count == 0:
        return []
    if count == 1:
        weights = np.array([EMPHASIS if name in SUBTLE else 1.0 for name in SEEN_TYPES])
        name = str(generator.choice(SEEN_TYPES, p=weights / weights.sum()))
        return [(name, float(generator.uniform(0.02, 1)))]
    realistic = [m for m in MIXTURES if len(m) == count]
    if generator.random() < 0.7:
        names: Sequence[str] = realistic[int(generator.integers(len(realistic)))]
    else:
        names = [str(n) for n in generator.choice(SEEN_TYPES, count, replace=False)]
    return [(name, float(generator.uniform(0.02, 0.8))) for name in names]


def content_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Eight properties of what a picture shows, ``(8,)``, in the order of `captions.CONTENTS`.

    Mean differences of colour, the spreads of colour and of light, the strength of all edges and
    of upright against lying ones, whether the upper half is the lighter one, and red.
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


def render_view(
    photograph: Image.Image, index: int, settings: BankSettings
) -> tuple[NDArray[np.uint8], list[tuple[str, float]], NDArray[np.float64]]:
    """View ``index`` of the bank, ``(side, side, 3)``, what was done to it, and its content."""
    generator = np.random.Generator(np.random.PCG64([settings.seed, settings.side, index]))
    pixels, whole = _cut(photograph, generator, settings)
    content = content_of(pixels)
    applied = draw_degradations(generator, settings)
    for position, (name, severity) in enumerate(applied):
        pixels = degrade(pixels, name, severity=severity, seed=index * MOST + position)
    if whole:
        small = np.rint(thumbnail(pixels, settings.side).numpy())
        pixels = small.astype(np.uint8).transpose(1, 2, 0)
    return pixels, applied, content


def _cut(
    photograph: Image.Image, generator: np.random.Generator, settings: BankSettings
) -> tuple[NDArray[np.uint8], bool]:
    """The undegraded pixels of a view, and whether they are a whole photograph."""
    side, (least, most) = settings.side, settings.scales
    least = max(least, side / min(photograph.size))
    whole = generator.random() < settings.thumbnails
    scale = least * (max(most, 1.15 * least) / least) ** (generator.random() ** _SKEW)
    size = (max(side, round(photograph.width * scale)), max(side, round(photograph.height * scale)))
    pixels = np.asarray(photograph.resize(size, Image.Resampling.LANCZOS))
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    if not whole:
        top = int(generator.integers(pixels.shape[0] - side + 1))
        left = int(generator.integers(pixels.shape[1] - side + 1))
        pixels = pixels[top : top + side, left : left + side]
    return np.ascontiguousarray(pixels), whole


def render_bank(
    photographs: Sequence[Photograph],
    folder: Path,
    settings: BankSettings,
    workers: int = 1,
    progress: bool = False,
) -> list[str]:
    """Render a bank into a folder, or go on where an earlier call stopped.

    Photographs that cannot be decoded are left out. The folder lies outside the repository: a
    view takes 49 kB at 128 pixels, 150 kB at 224.

    Returns:
        Notes about photographs that were left out.

    Raises:
        ValueError: the folder holds another bank, no photograph is left, or there are more of
            them than views.
    """
    if settings.samples < len(photographs):
        raise ValueError(f"{settings.samples} views do not show {len(photographs)} photographs")
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "bank.json").exists() and not _open_blocks(folder, settings):
        _claim(folder, settings, photographs)
        return []
    good, notes = readable(photographs)
    if not good:
        raise ValueError(f"none of {len(photographs)} photographs can be read; nothing to render")
    _claim(folder, settings, photographs)
    with open(folder / "sentences.json", "w", encoding="utf-8") as file:
        json.dump([photograph.sentences for photograph in good], file)
    n, side = settings.samples, settings.side
    pixels = _array(folder / "pixels.npy", np.uint8, (n, side, side, 3))
    types = _array(folder / "types.npy", np.int64, (n, MOST))
    severities = _array(folder / "severities.npy", np.float64, (n, MOST))
    contents = _array(folder / "contents.npy", np.float64, (n, len(CONTENTS)))
    done = _array(folder / "done.npy", np.bool_, (_blocks(settings),))
    todo = _open_blocks(folder, settings)
    render = partial(_render_block, [p.path for p in good], settings)
    blocks = tqdm(
        _each(render, todo, workers), total=len(todo), desc=str(folder), disable=not progress
    )
    for block, rendered in zip(todo, blocks, strict=True):
        rows = slice(block * _BLOCK, block * _BLOCK + len(rendered[0]))
        for array, values in zip((pixels, types, severities, contents), rendered, strict=True):
            array[rows] = values
            array.flush()
        done[block] = True
        done.flush()
    return notes


Rendered = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def _render_block(paths: Sequence[Path], settings: BankSettings, block: int) -> Rendered:
    views = range(block * _BLOCK, min(settings.samples, (block + 1) * _BLOCK))
    pixels = np.empty((len(views), settings.side, settings.side, 3), np.uint8)
    types, severities = np.full((len(views), MOST), -1), np.zeros((len(views), MOST))
    contents = np.empty((len(views), len(CONTENTS)))
    for row, index in enumerate(views):
        with Image.open(paths[index % len(paths)]) as image:
            view = render_view(image.convert("RGB"), index, settings)
        pixels[row], applied, contents[row] = view
        for position, (name, severity) in enumerate(applied):
            types[row, position] = SEEN_TYPES.index(name)
            severities[row, position] = severity
    return pixels, types, severities, contents


def _each(render: partial[Rendered], todo: Sequence[int], workers: int) -> Iterator[Rendered]:
    if workers == 1:
        yield from map(render, todo)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, todo)


def open_bank(folder: Path) -> Bank:
    """A bank that `render_bank` has finished.

    Raises:
        ValueError: the folder holds none, or one that is not finished.
    """
    if not (folder / "done.npy").exists() or not np.load(folder / "done.npy").all():
        raise ValueError(f"{folder} holds no finished bank; render it first")
    return Bank(
        np.load(folder / "pixels.npy", mmap_mode="r"),
        np.load(folder / "types.npy"),
        np.load(folder / "severities.npy"),
        np.load(folder / "contents.npy"),
        tuple(map(tuple, json.loads((folder / "sentences.json").read_text(encoding="utf-8")))),
        json.loads((folder / "bank.json").read_text(encoding="utf-8")),
    )


def differences(mine: dict[str, object], other: dict[str, object]) -> str:
    """What differs between two sets of settings, for a message; empty where nothing does."""
    names = sorted(n for n in mine.keys() | other.keys() if mine.get(n) != other.get(n))
    return ", ".join(f"{name}: {other.get(name)!r}, now {mine.get(name)!r}" for name in names)


def _claim(folder: Path, settings: BankSettings, photographs: Sequence[Photograph]) -> None:
    """Write beside the bank what it is made of; refuse a folder that holds another one."""
    told = "\n".join("\t".join((p.path.name, *p.sentences)) for p in photographs)
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    wanted = json.loads(
        json.dumps({**asdict(settings), "photographs": digest, "contents": CONTENTS})
    )
    note = folder / "bank.json"
    if note.exists():
        differs = differences(wanted, json.loads(note.read_text(encoding="utf-8")))
        if differs:
            raise ValueError(f"{folder} holds another bank ({differs}); give another folder")
        return
    write_bytes(note, json.dumps(wanted).encode())


def _blocks(settings: BankSettings) -> int:
    return -(-settings.samples // _BLOCK)


def _open_blocks(folder: Path, settings: BankSettings) -> list[int]:
    """Blocks that are not rendered yet."""
    if not (folder / "done.npy").exists():
        return list(range(_blocks(settings)))
    return np.flatnonzero(~np.load(folder / "done.npy")).tolist()


def _array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
