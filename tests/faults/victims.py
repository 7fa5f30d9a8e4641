"""What doomed processes do. A fork server loads this once, so that a victim costs milliseconds."""

import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd
import torch

from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features import Extractor
from maclip_lab.features.store import FeatureStore
from maclip_lab.files.provenance import write_table
from maclip_lab.images import load_picture
from maclip_lab.scorer import Maclip, score_folder
from tests.conftest import GOLDEN
from tests.store_world import manifest

torch.set_num_threads(1)
SCORER = Maclip(str(GOLDEN / "vit.safetensors"), device="cpu")
NOBODY = 65534


def extract(rows: Manifest, store: Path, line: Connection) -> None:
    """Extract; tell every picture's content once it is kept, and the configuration at last."""
    keep = FeatureStore.put

    def put(itself: FeatureStore, sha256: str, *rest: object) -> None:
        keep(itself, sha256, *rest)
        line.send(sha256)

    FeatureStore.put = put
    line.send(Extractor(SCORER, store).crops(rows).config)


def extract_until(rows: Manifest, store: Path, where: str, call: int, line: Connection) -> None:
    """Extract, and die without a word at the n-th call of a function of ``os``."""
    original, calls = getattr(os, where), 0

    def doomed(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(os, where, doomed)
    extract(rows, store, line)


def on_a_full_disk(task: Callable[[Path], object], folder: Path, line: Connection) -> None:
    """Do a task with room for 4 kB a file; send what was raised."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    line.send(_attempt(task, folder))


def as_nobody(task: Callable[[Path], object], folder: Path, line: Connection) -> None:
    """Do a task as a user to whom permissions apply; send what was raised."""
    _attempt(task, folder)  # once as we are, so that nothing is left to be imported
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    line.send(_attempt(task, folder))


def peak_memory(data: bytes, line: Connection) -> None:
    """By how much reading a picture raises this process's peak, in bytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = load_picture(data).status
    line.send((status, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


def _attempt(task: Callable[[Path], object], folder: Path) -> str:
    try:
        return str(task(folder))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def extraction(folder: Path) -> object:
    pictures = folder / "pictures"
    rows = manifest(pictures, sorted(path.name for path in pictures.iterdir()))
    return Extractor(SCORER, folder / "store").crops(rows).table["status"].tolist()


def long_table(folder: Path) -> object:
    return write_table(pd.DataFrame({"path": range(4000)}), folder / "out" / "scores.csv", {})


def scores(folder: Path) -> object:
    table = score_folder(folder / "pictures", SCORER)
    return [*table["status"], *table["message"]]
