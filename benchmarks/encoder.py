"""How fast pictures are scored, against the plain way and against the machine's own rate.

Run as ``python -m benchmarks.encoder``. Every comparison is of runs that take turns.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.authors_package import Skipped, authors_scorer
from benchmarks.published_path import published_score
from benchmarks.random_models import ARCHITECTURES, picture, save_random
from benchmarks.timing import alternate, ratio
from maclip_lab import Maclip
from maclip_lab.clip.inference import InferenceResNet, InferenceTransformer, Placement
from maclip_lab.clip.model import CLIP, ModifiedResNet
from maclip_lab.crops import CropGrid
from maclip_lab.encoder import PRECISIONS
from maclip_lab.weights.loading import load_backbone

SIZES = ((1024, 768), (500, 500), (224, 224))
MATRIX = 4096


def run(
    architectures: tuple[str, ...] = ARCHITECTURES,
    sizes: tuple[tuple[int, int], ...] = SIZES,
    rounds: int = 3,
    device: str = "auto",
    precision: str = "fp32",
) -> list[dict[str, object]]:
    """One row an architecture and size.

    Args:
        architectures: run with random weights.
        sizes: width and height of the pictures, in pixels.
        rounds: of every comparison.
        device: as for `Maclip`.
        precision: of our encoder; the plain way is always fp32.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for architecture in architectures:
            path = save_random(architecture, Path(folder))
            scorer = Maclip(str(path), device=device, precision=precision)
            clip = load_backbone(path).clip.to(scorer.encoder.device)
            for size in sizes:
                row = {"backbone": architecture, "width": size[0], "height": size[1]}
                rows.append(row | _compare(scorer, clip, picture(*size), rounds))
                print(_line(rows[-1]), flush=True)
    return rows


def flops_per_crop(clip: CLIP) -> float:
    """Floating-point operations that our tower needs for a crop, fewer than the plain one."""
    place = Placement(torch.device("meta"), torch.float32)
    crop = torch.empty(1, 3, 224, 224, device="meta")
    visual = clip.visual
    with FlopCounterMode(display=False) as counter:
        if isinstance(visual, ModifiedResNet):
            InferenceResNet(visual, place)(crop)
        else:
            InferenceTransformer(visual, place)(crop)
    return float(counter.get_total_flops())


def matrix_product(device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """A task: one 4096-cube matrix product, the yardstick of the machine's rate."""
    left, right = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        torch.matmul(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return multiply


def _compare(scorer: Maclip, clip: CLIP, image: Image.Image, rounds: int) -> dict[str, object]:
    device, dtype = scorer.encoder.device, PRECISIONS[scorer.encoder.precision]
    tasks: dict[str, Callable[[], object]] = {
        "published": lambda: published_score(image, clip),
        "ours": lambda: scorer(image),
        "matrix product": matrix_product(device, dtype),
    }
    authors: dict[str, object] = {}
    try:
        tasks["authors' package"] = score_theirs = authors_scorer(clip, image)
        authors["score difference from the authors' package"] = abs(
            score_theirs() - scorer(image).score
        )
    except Skipped as reason:
        authors["authors' package / ours"] = f"skipped: {reason}"
    times = alternate(tasks, rounds)
    ours, product = times["ours"], times["matrix product"]
    if "authors' package" in times:
        authors["authors' package / ours"] = ratio(times["authors' package"], ours)
    crops = len(CropGrid(image.height, image.width))
    seen = 1 if image.size == (224, 224) else crops  # a window and its equal, the thumbnail
    flops, rate = seen * flops_per_crop(clip), 2.0 * MATRIX**3 / product.median
    return {
        "crops": crops,
        "published / ours": ratio(times["published"], ours),
        "published / ours, CPU time": times["published"].cpu / ours.cpu,
        **authors,
        "GFLOP": flops / 1e9,
        "GFLOP/s": flops / ours.median / 1e9,
        "matrix product, GFLOP/s": rate / 1e9,
        "share of matrix rate": flops / ours.median / rate,
        "share of matrix rate, CPU time": flops / 2 / MATRIX**3 * product.cpu / ours.cpu,
        "score difference from the published path": abs(
            published_score(image, clip) - scorer(image).score
        ),
        "times": {name: timing.facts() for name, timing in times.items()},
    }


def _line(row: dict[str, object]) -> str:
    authors = row["authors' package / ours"]
    theirs = f"{authors:5.2f}" if isinstance(authors, float) else authors
    return (
        f"{row['backbone']:9} {row['width']:5} x {row['height']:<5} {row['crops']:3} crops  "
        f"published / ours {row['published / ours']:5.2f}  "
        f"(CPU time {row['published / ours, CPU time']:5.2f})  authors' package / ours {theirs}  "
        f"{row['GFLOP/s']:8.0f} GFLOP/s = {row['share of matrix rate']:4.0%} of the matrix rate  "
        f"(CPU time {row['share of matrix rate, CPU time']:4.0%})"
    )


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
