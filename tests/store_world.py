"""A few generated pictures, a manifest of them, and processes that can be killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from maclip_lab.crops import NATIVE, CropGrid, PreparedPicture, crop_batches, prepare
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features import open_pack
from maclip_lab.features.features import CUT
from maclip_lab.fusion import FusionSettings
from maclip_lab.images import Picture, load_picture
from maclip_lab.prompts import MACLIP_PROMPTS
from maclip_lab.score import TextAnchors
from maclip_lab.scorer import ScoreConfig
from maclip_lab.weights.loading import Backbone
from tests.conftest import GOLDEN

RN = str(GOLDEN / "rn.safetensors")
ROOT = Path(__file__).parents[1]


def picture(path, seed, size=(224, 224)):
    """A picture of noise around a slope, PNG or whatever the name says."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 200, size[0])[None, :, None]
    pixels = slope + rng.integers(0, 55, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def pictures(folder, n=8):
    """``n`` pictures of several sizes; their names."""
    folder.mkdir(exist_ok=True)
    names = [f"p{i}.png" for i in range(n)]
    for i, name in enumerate(names):
        picture(folder / name, i, (224 + 128 * (i % 3), 224 + 128 * (i % 2)))
    return names


def manifest(folder, names, higher_is_better=True):
    mos = np.random.default_rng(7).permutation(len(names)).astype(float)
    table = pd.DataFrame({"path": names, "mos": mos})
    scale = (0.0, float(max(len(names), 2)))
    return Manifest(table, "synthetic", higher_is_better, scale, "native", "standard", folder)


def packs(store):
    """The packs in a store, and no single picture."""
    return sorted(store.glob("*/*.safetensors"))


def held(store):
    """What a store holds, by content: single pictures, and those in packs."""
    single = {path.stem for path in store.glob("*/pictures/*.safetensors")}
    return single.union(*(open_pack(path).crops.contents for path in packs(store)))


def stored(rows, store):
    """What anybody reads from the one pack of a store, every byte checked."""
    (path,) = packs(store)
    return open_pack(path).crops.subset(rows)


def grid_of(view, i):
    """Where the crops of a picture lie."""
    return CropGrid(*map(int, view.table.loc[i, CUT]), view.config.protocol)


def python(code, *arguments):
    """A child process of the same Python, one thread, its output piped."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


class PlainEncoder:
    """An encoder that costs nothing: the means of a crop's 4 x 4 tiles, 48 numbers."""

    embed_dim, precision, device = 48, "fp32", torch.device("cpu")

    def encode_picture(self, pixels, protocol=NATIVE, pos_embedding=False):
        crops = torch.cat(list(crop_batches(pixels, protocol)))
        return torch.nn.functional.adaptive_avg_pool2d(crops, 4).flatten(1)


class PlainScorer:
    """What extraction asks of a scorer, around `PlainEncoder`."""

    pos_embedding = False

    def __init__(self):
        self.backbone = Backbone("plain", "5" * 64, "test", None)
        self.encoder = PlainEncoder()
        self.anchors = self.text_anchors(MACLIP_PROMPTS)

    def text_anchors(self, pairs):
        features = torch.from_numpy(np.random.default_rng(1).normal(size=(2 * len(pairs), 48)))
        return TextAnchors(pairs, features.float(), 100.0)

    def config(self, dataset=None, settings=FusionSettings(), *, preset=None):
        return ScoreConfig("plain", self.backbone.sha256, dataset, preset, settings=settings)

    def extract(self, path, protocol):
        pixels, _ = prepare(load_picture(path, preset="official").image, protocol)
        features = self.encoder.encode_picture(pixels, protocol)
        grid = CropGrid(*pixels.shape[:2], protocol)
        return PreparedPicture(str(path), Picture(None, "ok"), None, grid, features)
