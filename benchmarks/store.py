"""What the feature store costs over the bare encoder, and how long sweeps over it take.

Run as ``python -m benchmarks.store``. The store of KonIQ's size (10,073 pictures of 16 crops, 1024
dimensions, fp16) is synthetic; the encoder is a random RN50. Ratios are of runs that alternate.
"""

import hashlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmarks.memory import peak_gib
from benchmarks.random_models import random_clip
from maclip_lab.ablations.sweeps import AUTHORS_GRID, sweep
from maclip_lab.crops import CropGrid, PreparedPicture, prepare
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.encoder import ImageEncoder
from maclip_lab.features import Extractor
from maclip_lab.features.features import store_cues
from maclip_lab.features.store import FeatureStore, Memo
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture, load_picture
from maclip_lab.prompts import MACLIP_PROMPTS
from maclip_lab.score import TextAnchors
from maclip_lab.scorer import ScoreConfig
from maclip_lab.weights.loading import Backbone

KONIQ = 10_073
CROPS, DIMENSIONS = 16, 1024
LAMBDAS = (0.0, 0.3, 0.5, 0.7, 1.0)


def run(pictures: int = KONIQ, extracted: int = 10, rounds: int = 3) -> dict[str, float]:
    """Seconds, ratios and memory; printed as a table.

    Args:
        pictures: in the synthetic store.
        extracted: pictures of 500 x 500 that are encoded.
        rounds: of the extraction, with and without the store in turn.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = _extraction(Path(folder), extracted, rounds) | _sweeps(Path(folder), pictures)
    found["peak resident memory, GiB"] = peak_gib()
    for name, value in found.items():
        print(f"{name:<58}{value:10.3f}")
    return found


def _extraction(folder: Path, count: int, rounds: int) -> dict[str, float]:
    scorer = _random_rn50()
    paths = []
    generator = np.random.default_rng(0)
    for i in range(count):
        pixels = generator.integers(0, 256, (63, 63, 3), dtype=np.uint8)
        paths.append(f"{i}.jpg")
        Image.fromarray(pixels).resize((500, 500)).save(folder / paths[-1], quality=95)
    rows = _manifest(folder, paths)
    decoded = [prepare(load_picture(path).image)[0] for path in rows.paths]
    scorer.encoder.encode_picture(decoded[0])
    bare, stored = [], []
    for attempt in range(rounds):
        bare.append(_seconds(lambda: [scorer.encoder.encode_picture(one) for one in decoded]))
        extractor = Extractor(scorer, folder / f"store{attempt}")
        stored.append(_seconds(lambda extractor=extractor: extractor.crops(rows)))
    ratios = [with_store / without for with_store, without in zip(stored, bare, strict=True)]
    return {
        "bare encoder, s a picture of 10 crops": statistics.median(bare) / count,
        "extraction over the bare encoder, ratio (median)": statistics.median(ratios),
        "extraction over the bare encoder, ratio (least)": min(ratios),
    }


def _sweeps(folder: Path, pictures: int) -> dict[str, float]:
    extractor, rows, gathering = _koniq_sized(folder / "koniq", pictures)
    opening, _ = _clocked(lambda: extractor.crops(rows))
    shutil.rmtree(extractor.folder / "memo")
    unremembered, _ = _clocked(lambda: extractor.crops(rows))
    view = extractor.crops(rows)
    reading = _seconds(lambda: [block.max() for block in view.blocks()])
    anchors = extractor.scorer.anchors
    every = [FusionSettings(lam) for lam in LAMBDAS]
    rules = ("adaptive", "magnitude")
    one, one_cpu = _clocked(lambda: sweep(view, anchors, every[1:2], rules=rules))
    many, many_cpu = _clocked(lambda: sweep(view, anchors, every, rules=rules))
    cues = store_cues(view, anchors)
    grid, grid_cpu = _clocked(lambda: sweep(cues, settings=AUTHORS_GRID))
    return {
        "gathering the pictures into a pack, s": gathering,
        "opening, s": opening,
        "opening over reading every feature, ratio": opening / reading,
        "opening without the memo of file times, s": unremembered,
        "lambda sweep, one lambda, s": one,
        "lambda sweep, one lambda, CPU s": one_cpu,
        f"lambda sweep, s a lambda of {len(LAMBDAS)}": many / len(LAMBDAS),
        f"lambda sweep, CPU s a lambda of {len(LAMBDAS)}": many_cpu / len(LAMBDAS),
        "the authors' 70 settings over cached cues, s": grid,
        "the authors' 70 settings over cached cues, CPU s": grid_cpu,
    }


def _koniq_sized(folder: Path, pictures: int) -> tuple[Extractor, Manifest, float]:
    """A store of random features, of KonIQ's pictures; how long it took to gather them."""
    names = [f"{i}.jpg" for i in range(pictures)]
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)
    rows = _manifest(folder, names)
    extractor = Extractor(_random_rn50(), folder / "store", "fp16")
    memo = Memo(folder / "store", folder)
    store = FeatureStore(folder / "store", extractor.config(rows), memo)
    generator = np.random.default_rng(1)
    features = generator.standard_normal((CROPS, DIMENSIONS), dtype=np.float32)
    grid = CropGrid(224 + 2 * 128, 224 + 4 * 128, store.config.protocol)  # and the thumbnail
    prepared = PreparedPicture("", Picture(None, "ok"), None, grid)
    contents = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    for sha256 in contents.values():
        store.put(sha256, prepared, generator.permuted(features, axis=1))
    gathering = _seconds(lambda: store.serve(rows, contents, {}, extractor.scorer))
    return extractor, rows, gathering


def _manifest(folder: Path, names: list[str]) -> Manifest:
    mos = np.random.default_rng(2).uniform(1, 5, len(names))
    table = pd.DataFrame({"path": names, "mos": mos})
    return Manifest(table, "benchmark", True, (1.0, 5.0), "native", "standard", folder)


def _random_rn50() -> SimpleNamespace:
    """What extraction asks of a scorer, around a random RN50."""
    clip = random_clip("RN50")
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(100, DIMENSIONS, generator=generator)
    backbone = Backbone("random RN50", "1" * 64, "benchmark", clip)
    return SimpleNamespace(
        backbone=backbone,
        encoder=ImageEncoder(clip, device=torch.device("cpu")),
        pos_embedding=False,
        anchors=TextAnchors(MACLIP_PROMPTS, text[: 2 * len(MACLIP_PROMPTS)], 100.0),
        text_anchors=lambda pairs: TextAnchors(pairs, text[: 2 * len(pairs)], 100.0),
        config=lambda dataset, preset: ScoreConfig("random RN50", "1" * 64, dataset, preset),
    )


def _seconds(task: Callable[[], object]) -> float:
    return _clocked(task)[0]


def _clocked(task: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    begin, cpu = time.perf_counter(), time.process_time()
    task()
    return time.perf_counter() - begin, time.process_time() - cpu


if __name__ == "__main__":
    print(json.dumps(run()))
