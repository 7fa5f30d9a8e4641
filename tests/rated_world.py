"""Rated sets of which everything is known: features are given, no picture was ever looked at."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from maclip_lab.ablations.rated import Rated
from maclip_lab.crops import NATIVE
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.features import Features
from maclip_lab.prompts import MACLIP_PROMPTS
from maclip_lab.score import TextAnchors

CROPS = 2


class GivenFeatures(Features):
    """Features that lie in memory, ``CROPS`` a picture."""

    def features(self, i):
        return self.feats[i]

    def blocks(self, crops=4096):
        for i in self.ok:
            yield self.feats[i].numpy()

    @property
    def grids(self):
        return np.ones((len(self.ok), 2), dtype=np.int64)


def given_features(features, table, dataset="opinions"):
    """A view of features ``(N, CROPS, D)`` with a manifest's columns in ``table``."""
    names = [f"{i}.png" for i in range(len(features))]
    table = pd.DataFrame({"path": names, **table})
    rows = Manifest(table, dataset, True, (-10.0, 10.0), "native", "standard", ".")
    read = pd.DataFrame({"path": names, "status": "ok", "flags": "", "message": ""})
    config = SimpleNamespace(protocol=NATIVE, weights_sha256="known")
    return GivenFeatures(rows, config, read.assign(n_crops=CROPS), list(features))


def rated_set(
    n=120, dimensions=16, *, cosine=0.0, evenness=0.0, seed=0, n_boot=200, whole=False, **columns
):
    """A set whose cosine cue and whose evenness follow quality as strongly as is asked.

    Args:
        cosine: how much of quality goes into the features' direction.
        evenness: how much of it thickens the features on their axes.
        columns: further columns of the manifest.
    """
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    texts = torch.from_numpy(rng.normal(size=(10, dimensions))).float()
    anchors = TextAnchors(MACLIP_PROMPTS, texts, 20.0)
    units = torch.nn.functional.normalize(texts, dim=-1)
    good = (units[::2] - units[1::2]).sum(0).numpy()
    noise = rng.normal(size=(n, CROPS, dimensions))
    spikes = np.exp(-(evenness * quality + rng.normal(size=n)) / 2)[:, None, None]
    spread = np.sign(noise) * np.abs(noise) ** (0.2 + spikes)
    features = torch.from_numpy(spread + 0.6 * cosine * quality[:, None, None] * good).float()
    view = given_features(features, {"mos": quality, **columns})
    first = features[:, :1].expand(-1, CROPS, -1)
    wholes = given_features(first, {"mos": quality}) if whole else None
    return Rated(view, anchors, wholes, statistics=EvaluationSettings(n_boot=n_boot, seed=1))
