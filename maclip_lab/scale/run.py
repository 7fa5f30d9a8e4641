"""Scoring millions of pictures: parts, run in this process, on this machine, or on a cluster.

The contract is `maclip_lab.scale.parts`; this is who runs it. A part that fails is reported and the
others kept; a worker that dies is replaced and its part done again; a run that is started again
does what is missing. The table is the same to the last bit however one kind of device made it.
"""

import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from tqdm.auto import tqdm

from maclip_lab.errors import MaclipError, StorageFullError
from maclip_lab.files.atomic import sweep
from maclip_lab.files.identity import joint_sha256
from maclip_lab.scale.parts import Outcome, Part, divide, read_part, score_part
from maclip_lab.scorer import TABLE_COLUMNS, ScoreConfig

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

LARGEST_PART, SMALLEST_PART, PARTS = 10_000, 8, 256  # work for many, and no loss that hurts
_LOGGER = logging.getLogger(__name__)
_IN_FLIGHT = 64  # parts, before workers are known: a cluster may grow with the work that waits
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # Ctrl-C is ours to answer
_DEATHS = 5  # of workers while they had a part, before the part is given up


class ScaleError(MaclipError):
    """A run cannot be started."""


@dataclass(frozen=True)
class ScaleRun:
    """What came of a run, with the weights of its configuration pinned.

    Parts stand in order; those with an error are done alone when the same run is started again.
    Relative paths start from ``folder``.
    """

    config: ScoreConfig
    parts: Sequence[Outcome]
    folder: str

    def table(self) -> pd.DataFrame:
        """All rows in the order of the pictures, as `score_folder` gives them.

        Pictures of failed parts have the status ``"failed"`` and the error as their message.
        """
        table = pd.concat([_rows(part) for part in self.parts], ignore_index=True)
        digests = table.pop("sha256")
        pictures = joint_sha256(zip(table["path"], digests, strict=True))
        data = {"folder": self.folder, "pictures_sha256": pictures}
        table.attrs = {**self.config.facts, "data": data}
        return table


def _rows(outcome: Outcome) -> pd.DataFrame:
    if outcome.path is not None:
        return read_part(outcome.path)
    rows = pd.DataFrame({"path": list(outcome.lost)}).reindex(columns=TABLE_COLUMNS)
    rows[["n_crops", "width", "height"]] = 0
    rows[["status", "flags", "message", "sha256"]] = "failed", "", outcome.error, ""
    return rows


def score_many(
    pictures: Sequence[str | os.PathLike[str]],
    config: ScoreConfig,
    folder: str | os.PathLike[str],
    *,
    part_size: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: bool = False,
) -> ScaleRun:
    """Score many pictures, part by part; started again it does what is missing.

    Args:
        pictures: paths, the same for all workers.
        config: what to score with.
        folder: of the parts, the same for all workers.
        part_size: pictures in a part, lost when a worker dies; None for `part_size_for` them.
        workers: processes on this machine, of one thread each; None for this process alone, with
            as many pictures at once as torch has threads. The numbers are the same.
        cluster: ``"local"``, or the address of a Dask scheduler, ``"tcp://host:8786"``.
        progress: show a progress bar, and the address of Dask's dashboard.

    Raises:
        ScaleError: the scale extra is not installed, or the cluster cannot be reached or was lost.
        StorageFullError: there is no room; finished parts are kept.
        WeightsError: no weights can be had.
    """
    if not len(pictures):
        raise ValueError("expected at least one picture, got none")
    if workers is not None and workers < 1:
        raise ValueError(f"workers is at least 1, got {workers}")
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    config = config.pinned()
    size = part_size_for(len(pictures)) if part_size is None else part_size
    parts = divide(pictures, size)
    done = list[Outcome]()
    with ExitStack() as stack:
        bar = tqdm(total=len(pictures), unit="picture", disable=not progress)
        stack.enter_context(bar)
        if workers is None and cluster is None:
            outcomes = _here(parts, config, folder)
        else:
            client = stack.enter_context(dask_client(workers, cluster))
            if progress:
                tqdm.write(f"Dask dashboard: {client.dashboard_link}", file=sys.stderr)
            outcomes = _on_dask(client, parts, config, folder)
        for outcome in outcomes:
            bar.update(min(size, len(pictures) - bar.n))
            done.append(outcome)
            if outcome.error:
                _LOGGER.error("part %d failed: %s", outcome.number, outcome.error)
    done.sort(key=lambda outcome: outcome.number)
    return ScaleRun(config, done, os.getcwd())


def part_size_for(pictures: int) -> int:
    """Pictures in a part; it follows their number alone, so a run goes on with other workers."""
    return min(max(math.ceil(pictures / PARTS), SMALLEST_PART), LARGEST_PART)


@contextmanager
def dask_client(workers: int | None = None, cluster: str | None = None) -> Iterator["Client"]:
    """A Dask client; a local cluster lives as long as it. The dashboard's address is logged.

    ``workers`` are processes of a local cluster, None for one a GPU, else one a core that is ours;
    ``cluster`` is a scheduler's address, or ``"local"`` or None.

    Raises:
        ScaleError: the scale extra is not installed, or the cluster cannot be reached.
    """
    try:
        import dask
        from dask.system import CPU_COUNT
        from distributed import Client
    except ImportError as error:
        raise ScaleError(f"workers need Dask ({error}): pip install 'maclip-lab[scale]'") from error
    settings = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        # Dask has its workers give freed memory back at once; an encoder's large tensors come and
        # go all the time, and that would cost up to half of a worker's speed.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with ExitStack() as stack:
        where: str | LocalCluster | None = cluster
        if cluster in (None, "local"):
            stack.enter_context(dask.config.set(settings))
            workers = workers or torch.cuda.device_count() or CPU_COUNT
            where = stack.enter_context(_local_cluster(workers))
        try:
            client = stack.enter_context(Client(where, timeout=20))
        except (OSError, ValueError) as error:
            raise ScaleError(f"no Dask scheduler answers at {cluster}: {error}") from error
        _LOGGER.info("Dask dashboard: %s", client.dashboard_link)
        yield client


def _local_cluster(workers: int) -> "LocalCluster":
    """Workers on this machine; each runs the caller's script again, up to its main guard."""
    from distributed import LocalCluster

    script = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    not_run = script.name in ("", "__main__.py")  # a notebook, or a package's own entry
    advice = (
        f"workers run {script} again when they start: put what it does under "
        "if __name__ == '__main__':"
    )
    if not not_run and script.is_file() and b"__main__" not in script.read_bytes():
        raise ScaleError(advice)  # a program that was put together with its interpreter has no file
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            preload=[_DEAF],
        )
    except RuntimeError as error:
        why = str(error) if not_run else f"{error} If it is so for no other reason, {advice}"
        raise ScaleError(f"no workers can be started on this machine: {why}") from error


def _here(parts: Iterator[Part], config: ScoreConfig, folder: Path) -> Iterator[Outcome]:
    """Parts of this process, one after the other."""
    for part in parts:
        try:
            yield score_part(part, config, folder, torch.get_num_threads())
        except StorageFullError:
            raise
        except Exception as error:  # whatever a part raises, the others go on
            yield _failed(part, error)


def _on_dask(
    client: "Client", parts: Iterator[Part], config: ScoreConfig, folder: Path
) -> Iterator[Outcome]:
    """Parts as they finish or fail, in any order.

    A few per worker are in flight, so that millions of paths never lie in the scheduler. Workers
    are counted anew after each part: those of a cluster come and go.
    """
    from distributed import as_completed

    def submit() -> Sequence[object]:
        wanted = max(_IN_FLIGHT, 2 * sum(client.nthreads().values()))
        futures = []
        for part in islice(parts, max(0, wanted - len(waiting))):
            futures.append(client.submit(score_part, part, config, folder, pure=False))
            waiting[futures[-1].key] = part
        return futures

    waiting: dict[object, Part] = {}
    try:
        running = as_completed(submit())
        for future in running:
            part = waiting.pop(future.key)
            if future.cancelled():
                raise RuntimeError("its tasks were cancelled")
            error = future.exception()
            if isinstance(error, StorageFullError):
                raise error
            yield future.result() if error is None else _failed(part, error)
            running.update(submit())
    except StorageFullError:
        raise
    except (OSError, RuntimeError) as error:  # of the connection; a part's own are outcomes
        raise ScaleError(
            f"the cluster was lost ({error}); finished parts are kept, the same run goes on from "
            "them"
        ) from error


def _failed(part: Part, error: Exception) -> Outcome:
    return Outcome(part.number, lost=part.paths, error=f"{type(error).__name__}: {error}")
