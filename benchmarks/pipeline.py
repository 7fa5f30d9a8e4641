"""What scoring a folder of files costs over the bare encoder.

Run as ``python -m benchmarks.pipeline``. The pictures are JPEG files of KonIQ's size; the bare
encoder gets their crops ready made.
"""

import json
import math
import tempfile
from pathlib import Path

import torch

from benchmarks.random_models import picture, save_random
from benchmarks.timing import alternate, ratio
from maclip_lab import Maclip, score_folder
from maclip_lab.crops import CropGrid, crop_batches, prepare
from maclip_lab.images import load_picture


def run(
    pictures: int = 4,
    size: tuple[int, int] = (1024, 768),
    rounds: int = 3,
    architecture: str = "RN50",
    device: str = "auto",
    precision: str = "fp32",
) -> dict[str, object]:
    """Rates of a folder run and of the encoder alone, and the time of each stage.

    Args:
        pictures: files in the folder.
        size: width and height of each, in pixels.
        rounds: of the comparison.
        architecture: run with random weights.
        device: as for `Maclip`.
        precision: of the encoder.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scorer = Maclip(str(save_random(architecture, folder)), device=device, precision=precision)
        paths = [folder / f"{i}.jpg" for i in range(pictures)]
        for i, path in enumerate(paths):
            picture(*size, seed=i).save(path, quality=92)
        return _measure(scorer, paths, rounds)


def _measure(scorer: Maclip, paths: list[Path], rounds: int) -> dict[str, object]:
    encoder = scorer.encoder
    image = load_picture(paths[0]).image
    assert image is not None
    pixels = prepare(image)[0]
    count = len(CropGrid(*pixels.shape[:2]))
    size = math.ceil(count / math.ceil(count / encoder.micro_batch))  # as the encoder cuts them
    batches = list(crop_batches(pixels, batch=size, device=encoder.device))
    features = scorer.extract(paths[0])

    def encoder_alone() -> None:
        for _ in paths:
            for batch in batches:
                encoder.encode(batch)

    times = alternate(
        {
            "encoder alone": encoder_alone,
            "folder": lambda: score_folder(paths, scorer),
            "decode": lambda: [load_picture(path) for path in paths],
            "prepare and cut": lambda: [
                sum(map(len, crop_batches(prepare(image)[0], device=encoder.device))) for _ in paths
            ],
            "cues and fusion": lambda: [scorer.score(features) for _ in paths],
        },
        rounds,
    )
    crops, count = sum(map(len, batches)), len(paths)
    alone, folder = times["encoder alone"], times["folder"]
    result: dict[str, object] = {
        "pictures": count,
        "crops a picture": crops,
        "encoder alone, crops/s": crops * count / alone.median,
        "folder, crops/s": crops * count / folder.median,
        "folder, pictures/s": count / folder.median,
        "folder's share of the encoder's rate": ratio(alone, folder),
        "the same in CPU time": alone.cpu / folder.cpu,
        "stages, CPU ms a picture": {
            name: 1000 * timing.cpu / count for name, timing in times.items()
        },
        "times": {name: timing.facts() for name, timing in times.items()},
    }
    if encoder.device.type == "cuda":
        result["peak device memory, GiB"] = torch.cuda.max_memory_allocated() / 2**30
    return result


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
