"""The photographs, and the training pictures: views under known degradations, rendered once.

A folder may hold ``captions.tsv``: a photograph's path in that folder, a tab, and a sentence, one
a line and several a photograph. A folder without it trains quality alone.

A view shows a part of a photograph, or all of it, at a random scale, with none to three
degradations of random severity. Scales vary and stay harmless, so that size alone never tells
quality, and the smallest shows the whole short side, so that a sentence can be matched. Some
mixtures imitate what cameras and networks do together: dark and noisy, defocused and compressed.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.random import PCG64, Generator
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from backbones.captions import CONTENTS, SEEN_TYPES
from maclip_lab.crops import thumbnail
from maclip_lab.datasets.degradations import degrade
from maclip_lab.files.atomic import write_bytes
from maclip_lab.images import find_pictures, load_picture

Array = NDArray[Any]
CAPTIONS = "captions.tsv"
CAPTIONED = (300, 500)
"""Captioned photographs of a folder held out to choose by and to test retrieval on."""
UNCAPTIONED = (10, 10, 10)
"""Held out of a folder without captions: to choose by, to test severity on, and for pilots."""
SUBTLE = (
    "colour_quantisation", "patch_shuffle", "jpeg", "mean_shift", "colour_diffusion", "brighten"
)  # fmt: skip
"""Types that earlier pilots told least well on validation photographs; alone, they come oftener."""
EMPHASIS = 2.0
MIXTURES: tuple[tuple[str, ...], ...] = (
    ("darken", "white_noise"), ("darken", "contrast_loss"), ("lens_blur", "white_noise"),
    ("gaussian_blur", "jpeg"), ("lens_blur", "jpeg"), ("brighten", "contrast_loss"),
    ("brighten", "oversaturation"), ("contrast_loss", "gaussian_blur"), ("pixelate", "jpeg"),
    ("oversharpen", "jpeg"), ("darken", "colour_noise", "jpeg"),
    ("darken", "gaussian_blur", "white_noise"), ("lens_blur", "white_noise", "jpeg"),
    ("contrast_loss", "lens_blur", "colour_noise"), ("brighten", "gaussian_blur", "jpeg"),
    ("gaussian_blur", "white_noise", "jpeg"),
)  # fmt: skip
MOST = 3
_SKEW = 1.5  # towards small scales, whose views show most of a photograph
_BLOCK = 250


@dataclass(frozen=True)
class Photograph:
    """A photograph and the sentences people wrote about it, none where nobody did."""

    path: Path
    sentences: tuple[str, ...] = ()


@dataclass
class Collection:
    """Photographs by what they are for: of severity to choose by, to test on, for pilots."""

    training: list[Photograph] = field(default_factory=list)  # degraded and learned from
    choosing: list[Photograph] = field(default_factory=list)  # captioned: to choose by
    retrieval: list[Photograph] = field(default_factory=list)  # captioned: to test retrieval on
    severity: tuple[list[Path], ...] = field(default_factory=lambda: ([], [], []))
    notes: list[str] = field(default_factory=list)  # what was wrong with the folders


def collect(folders: Sequence[Path]) -> Collection:
    """The photographs of several folders, split alike for every run.

    The split depends on the names alone, at most a tenth of a folder is held out, and a folder
    with captions gives its captioned photographs up for that and keeps the others.
    """
    collection = Collection()
    for folder in folders:
        paths = sorted(find_pictures(folder))
        if not paths:
            raise ValueError(f"no photographs below {folder}")
        said = read_captions(folder / CAPTIONS) if (folder / CAPTIONS).exists() else {}
        sentences = {folder / name: tuple(each) for name, each in said.items()}
        absent = sorted(str(p.relative_to(folder)) for p in sentences.keys() - set(paths))
        if absent:
            collection.notes.append(
                f"{folder} has captions of {_listed(absent)} that are not there"
            )
        captioned = [p for p in paths if p in sentences]
        if not captioned:
            collection.notes.append(f"{folder} has no captions: it trains quality alone")
        source, counts = (captioned, CAPTIONED) if captioned else (paths, UNCAPTIONED)
        held = _held_out(source, counts)
        if captioned:
            collection.choosing += [Photograph(p, sentences[p]) for p in held[0]]
            collection.retrieval += [Photograph(p, sentences[p]) for p in held[1]]
        else:
            for kept, more in zip(collection.severity, held, strict=True):
                kept += more
        gone = {p for part in held for p in part}
        rest = (p for p in paths if p not in gone)
        collection.training += [Photograph(p, sentences.get(p, ())) for p in rest]
    return collection


def read_captions(path: Path) -> dict[str, list[str]]:
    """Sentences of a captions file by the photograph's name, in the file's order."""
    said: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        name, tab, sentence = line.partition("\t")
        if not (tab and name.strip() and sentence.strip()):
            raise ValueError(f"{path}, line {number}: expected a path, a tab and a sentence")
        said[name.strip()].append(sentence.strip())
    return dict(said)


def _held_out(paths: Sequence[Path], counts: Sequence[int]) -> list[list[Path]]:
    """So many paths for each count, in proportion where a tenth of all is less than their sum."""
    share = min(1.0, len(paths) // 10 / sum(counts))
    sizes = [int(count * share) for count in counts]
    order = Generator(PCG64(2026)).permutation(len(paths))
    kept = [paths[i] for i in sorted(order[: sum(sizes)].tolist())]
    starts = np.cumsum([0, *sizes])
    return [kept[a:b] for a, b in pairwise(starts)]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{len(names)} photographs ({shown}{', ...' if len(names) > 5 else ''})"


@dataclass(frozen=True)
class BankSettings:
    """What is rendered."""

    samples: int = 60_000  # views in the bank
    side: int = 128  # of a view, in pixels
    thumbnails: float = 0.12  # share of views that show a whole photograph, squeezed to a square
    scales: tuple[float, float] = (0.45, 1.15)  # least and greatest; raised until a view fits
    counts: tuple[float, ...] = (0.18, 0.48, 0.22, 0.12)  # shares with 0, 1, 2, 3 degradations
    seed: int = 0  # of everything random


@dataclass(frozen=True)
class Bank:
    """Rendered views; view ``i`` shows photograph ``i % P``."""

    views: Array  # N records, as in `view_record`; memory-mapped
    sentences: tuple[tuple[str, ...], ...]  # of each photograph, none where nobody described it
    identity: dict[str, object]  # settings and digest of the photographs: a run knows its bank

    def __len__(self) -> int:
        return len(self.views)


Applied = list[tuple[str, float]]
"""Names and severities of degradations, in the order they are applied."""


def draw_degradations(generator: Generator, settings: BankSettings) -> Applied:
    """What harms one view."""
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


def content_of(pixels: Array) -> Array:
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
) -> tuple[Array, Applied, Array]:
    """View ``index`` of the bank, ``(side, side, 3)``, what was done to it, and its content."""
    generator = Generator(PCG64([settings.seed, settings.side, index]))
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
    photograph: Image.Image, generator: Generator, settings: BankSettings
) -> tuple[Array, bool]:
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
    photographs: Sequence[Photograph], folder: Path, settings: BankSettings, workers: int = 1
) -> list[str]:
    """Render a bank into a folder, or go on where an earlier call stopped.

    The folder lies outside the repository: a view takes 49 kB at 128 pixels, 150 kB at 224. Returns
    a note about photographs that cannot be decoded, and so are left out.
    """
    if settings.samples < len(photographs):
        raise ValueError(f"{settings.samples} views do not show {len(photographs)} photographs")
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "bank.json").exists() and _views(folder, settings)["done"].all():
        _claim(folder, settings, photographs)
        return []
    bad = {p.path for p in photographs if load_picture(p.path).status != "ok"}
    good = [p for p in photographs if p.path not in bad]
    if not good:
        raise ValueError(f"none of {len(photographs)} photographs can be read; nothing to render")
    _claim(folder, settings, photographs)
    with open(folder / "sentences.json", "w", encoding="utf-8") as file:
        json.dump([photograph.sentences for photograph in good], file)
    views = _views(folder, settings)
    missing = np.flatnonzero(~views["done"])
    blocks = np.split(missing, range(_BLOCK, len(missing), _BLOCK))
    render = partial(_render_block, [p.path for p in good], settings)
    bar = tqdm(_each(render, blocks, workers), str(folder), len(blocks))
    for block, rendered in zip(blocks, bar, strict=True):
        views[block] = rendered
        views.flush()
        views["done"][block] = True
        views.flush()
    return [f"cannot read {_listed(sorted(map(str, bad)))}; skipped"] if bad else []


def open_picture(path: Path) -> Image.Image:
    """A photograph in RGB."""
    picture = load_picture(path)
    if picture.image is None:
        raise ValueError(f"{path}: {picture.message}")
    return picture.image


def view_record(side: int) -> np.dtype:
    """What is kept of a view: ``types`` are indices into ``SEEN_TYPES``, -1 for none."""
    harms = [("types", np.int64, MOST), ("severities", np.float64, MOST)]
    content = [("contents", np.float64, len(CONTENTS)), ("done", np.bool_)]
    return np.dtype([("pixels", np.uint8, (side, side, 3)), *harms, *content])


def _views(folder: Path, settings: BankSettings) -> np.memmap:
    path = folder / "views.npy"
    mode = "r+" if path.exists() else "w+"
    return open_memmap(path, mode, view_record(settings.side), (settings.samples,))


def _render_block(paths: Sequence[Path], settings: BankSettings, views: NDArray[np.intp]) -> Array:
    block = np.zeros(len(views), view_record(settings.side))
    block["types"] = -1
    for row, index in zip(block, views.tolist(), strict=True):
        photograph = open_picture(paths[index % len(paths)])
        row["pixels"], applied, row["contents"] = render_view(photograph, index, settings)
        for position, (name, severity) in enumerate(applied):
            row["types"][position] = SEEN_TYPES.index(name)
            row["severities"][position] = severity
    return block


def _each(render: partial[Array], blocks: Sequence[Array], workers: int) -> Iterator[Array]:
    if workers == 1:
        yield from map(render, blocks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, blocks)


def open_bank(folder: Path) -> Bank:
    """A bank that `render_bank` has finished."""
    path = folder / "views.npy"
    views = np.load(path, mmap_mode="r") if path.exists() else None
    if views is None or not views["done"].all():
        raise ValueError(f"{folder} holds no finished bank; render it first")
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    identity = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
    return Bank(views, tuple(map(tuple, sentences)), identity)


def differences(mine: dict[str, object], other: dict[str, object]) -> str:
    """What differs between two sets of settings, for a message; empty where nothing does."""
    names = sorted(n for n in mine.keys() | other.keys() if mine.get(n) != other.get(n))
    return ", ".join(f"{name}: {other.get(name)!r}, now {mine.get(name)!r}" for name in names)


def _claim(folder: Path, settings: BankSettings, photographs: Sequence[Photograph]) -> None:
    """Write beside the bank what it is made of; refuse a folder that holds another one."""
    named = "\n".join("\t".join((p.path.name, *p.sentences)) for p in photographs)
    digest = hashlib.sha256(named.encode()).hexdigest()[:16]
    told = {**asdict(settings), "photographs": digest, "contents": CONTENTS}
    wanted = json.loads(json.dumps(told))
    note = folder / "bank.json"
    if note.exists():
        differs = differences(wanted, json.loads(note.read_text(encoding="utf-8")))
        if differs:
            raise ValueError(f"{folder} holds another bank ({differs}); give another folder")
        return
    write_bytes(note, json.dumps(wanted).encode())
