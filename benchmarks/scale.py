"""What workers gain, what a part costs, and what a run leaves on the disk and in memory.

Run as ``python -m benchmarks.scale``. The pictures are generated JPEG files; one part holds few of
them, so that the workers share them out evenly.
"""

import io
import itertools
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.memory import peak_gib
from benchmarks.random_models import picture, save_random
from benchmarks.timing import alternate, ratio
from maclip_lab.files.atomic import write_sealed
from maclip_lab.images import find_pictures, load_picture
from maclip_lab.scale.run import ScaleRun, dask_client, score_many
from maclip_lab.scorer import ScoreConfig

if TYPE_CHECKING:
    from distributed import Client

SIZE, CROPS = (500, 500), 10  # of the pictures that are scored
KONIQ, KONIQ_CROPS, DIMENSIONS = (1024, 768), 36, 1024  # of those whose features are stored
SHARD = 256


def run(pictures: int = 16, small: int = 1000, rounds: int = 3) -> dict[str, float]:
    """Rates and their ratios for two backbones, and what a part and a picture take.

    Args:
        pictures: of 10 crops, for tiny-rn; a fourth of them for a random RN50.
        small: pictures of one crop, for what a part and a row cost.
        rounds: of every comparison.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as clusters:
        folder = Path(name)
        begin = time.perf_counter()
        one = clusters.enter_context(dask_client(1))
        found["local cluster of 1 worker, s to start"] = time.perf_counter() - begin
        two = clusters.enter_context(dask_client(2))
        runs = _Runs(folder, one, two)
        paths = _photographs(folder / "photographs", pictures)
        for backbone, count in (
            ("tiny-rn", pictures),
            (str(save_random("RN50", folder)), max(2, pictures // 4)),
        ):
            title = Path(backbone).stem.replace("RN50", "random RN50")
            config = ScoreConfig(backbone, device="cpu", offline=True)
            rates = _throughput(runs, config, paths[:count], rounds)
            found |= {f"{title}: {what}": value for what, value in rates.items()}
        found |= _decoding(paths[0])
        found |= _parts(runs, _small(folder / "small", small), rounds)
        found |= _stored()
    return found | _ten_million(found)


class _Runs:
    """Runs that never find the parts of another."""

    def __init__(self, folder: Path, one: "Client", two: "Client") -> None:
        self.one, self.two = one, two
        self._folders = (folder / f"parts{number}" for number in itertools.count())

    def task(
        self,
        paths: list[Path],
        config: ScoreConfig,
        size: int,
        client: "Client | None" = None,
        threads: int = 1,
    ) -> Callable[[], ScaleRun]:
        """A run from nothing, in this process or on a cluster; raises where a part fails."""
        address = client.scheduler.address if client else None

        def score() -> ScaleRun:
            parts = next(self._folders)
            torch.set_num_threads(threads)
            done = score_many(paths, config, parts, part_size=size, cluster=address)
            for outcome in done.parts:
                if outcome.error:
                    raise RuntimeError(outcome.error)
            return done

        return score


def _throughput(
    runs: _Runs, config: ScoreConfig, paths: list[Path], rounds: int
) -> dict[str, float]:
    size = max(1, len(paths) // 8)
    tasks = {
        "in process, 1 picture at once": runs.task(paths, config, size, threads=1),
        "in process, 2 pictures at once": runs.task(paths, config, size, threads=2),
        "1 worker": runs.task(paths, config, size, runs.one),
        "2 workers": runs.task(paths, config, size, runs.two),
    }
    times = alternate(tasks, rounds)
    crops, both = CROPS * len(paths), times["2 workers"]
    alone, pair = (times[f"in process, {name} at once"] for name in ("1 picture", "2 pictures"))
    peaks = runs.two.run(peak_gib).values()
    return {
        **{f"crops/s, {name}": crops / timing.median for name, timing in times.items()},
        "crops/s of a core, by CPU time": crops / alone.cpu,
        "2 workers / 1 worker": ratio(times["1 worker"], both),
        "2 workers / in process, 1 picture at once": ratio(alone, both),
        "2 workers / in process, 2 pictures at once": ratio(pair, both),
        "in process, 2 pictures / 1 picture at once": ratio(alone, pair),
        "peak GiB, the larger worker so far": max(peaks),
    }


def _decoding(path: Path) -> dict[str, float]:
    times = alternate({"decode": lambda: [load_picture(path) for _ in range(8)]})
    megapixels = 8 * SIZE[0] * SIZE[1] / 1e6
    return {"decoding, megapixels/s of a core": megapixels / times["decode"].cpu}


def _parts(runs: _Runs, folder: Path, rounds: int) -> dict[str, float]:
    """Parts of few pictures against one part of all, with the cheapest pictures there are."""
    begin = time.perf_counter()
    listed = find_pictures(folder)
    seconds = time.perf_counter() - begin
    count = len(listed)
    config = ScoreConfig("tiny-rn", device="cpu", offline=True)
    few = listed[: count // 20]
    times = alternate(
        {
            "one, in process": runs.task(few, config, len(few)),
            "many, in process": runs.task(few, config, 1),
            "one, worker": runs.task(few, config, len(few), runs.one),
            "many, worker": runs.task(few, config, 1, runs.one),
        },
        rounds,
    )
    more = len(few) - 1
    done = runs.task(listed, config, count)()
    part = done.parts[0].path
    begin = time.perf_counter()
    again = score_many(listed, config, part.parent, part_size=count)
    resumed = time.perf_counter() - begin
    if not again.parts[0].resumed:
        raise RuntimeError("a finished part was not taken up again")
    tracemalloc.start()
    held = [path.resolve() for path in find_pictures(folder)]
    paths = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {
        "ms a part more, in process": 1000
        * (times["many, in process"].median - times["one, in process"].median)
        / more,
        "ms a part more, on a worker": 1000
        * (times["many, worker"].median - times["one, worker"].median)
        / more,
        "scores, bytes of Parquet a picture": part.stat().st_size / count,
        "scores, bytes of the table in memory a picture": float(
            done.table().memory_usage(deep=True).sum() / count
        ),
        "paths, bytes in memory a picture": 2 * paths / len(held),
        "finding pictures, s a million": 1e6 * seconds / count,
        "taking finished parts up again, s a million": 1e6 * resumed / count,
    }


def _stored() -> dict[str, float]:
    """Bytes a picture of a pack of KonIQ's pictures, by what it is made of."""
    row = json.dumps([f"{0:08}.jpg", "ok", "", "", *KONIQ, f"{0:064x}"])
    found: dict[str, float] = {}
    for dtype, kind in (("fp16", np.float16), ("fp32", np.float32)):
        features = np.zeros((KONIQ_CROPS * SHARD, DIMENSIONS), dtype=kind)
        file = io.BytesIO()
        write_sealed(file, {"feats": features}, {"pictures": row * SHARD})
        size = len(file.getvalue())
        found[f"features in {dtype}, bytes a picture of {KONIQ_CROPS} crops"] = size / SHARD
    return found


def _ten_million(found: Mapping[str, float]) -> dict[str, float]:
    """What the figures come to for ten million pictures of KonIQ's size, by plain arithmetic."""
    count, crops, pixels = 1e7, 1e7 * KONIQ_CROPS, 1e7 * KONIQ[0] * KONIQ[1] / 1e6
    amounts = {
        f"core-days of encoding with {backbone}": crops
        / found[f"{backbone}: crops/s of a core, by CPU time"]
        / 86400
        for backbone in ("tiny-rn", "random RN50")
    }
    amounts |= {
        "core-hours of decoding": pixels / found["decoding, megapixels/s of a core"] / 3600,
        "minutes for its 1,000 parts": found["ms a part more, on a worker"] / 60,
        "hours to find the pictures": found["finding pictures, s a million"] * 10 / 3600,
        "hours to take all parts up again": found["taking finished parts up again, s a million"]
        * 10
        / 3600,
        "GB of scores": found["scores, bytes of Parquet a picture"] * count / 1e9,
        "GB of the table in memory": found["scores, bytes of the table in memory a picture"]
        * count
        / 1e9,
        "GB of paths in memory": found["paths, bytes in memory a picture"] * count / 1e9,
    }
    for dtype in ("fp16", "fp32"):
        size = found[f"features in {dtype}, bytes a picture of {KONIQ_CROPS} crops"]
        amounts[f"GB of features in {dtype}"] = size * count / 1e9
    return {f"ten million: {what}": amount for what, amount in amounts.items()}


def _photographs(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{i}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        picture(*SIZE, seed=i).save(path, quality=92)
    return paths


def _small(folder: Path, count: int) -> Path:
    """Pictures of one window."""
    folder.mkdir()
    for i in range(count):
        picture(224, 224, seed=i).save(folder / f"{i:08}.jpg", quality=92)
    return folder


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
