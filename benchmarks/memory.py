"""Memory and start-up, each measured in a process of its own by the operating system's figure.

Run as ``python -m benchmarks.memory``.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.random_models import picture, save_random

_SCORE = """
import sys
from benchmarks.memory import peak_gib
from maclip_lab import Maclip, score_folder
from maclip_lab.crops import Protocol
weights, stride, *pictures = sys.argv[1:]
scorer = Maclip(weights, device="cpu")
table = score_folder(pictures, scorer, Protocol(stride=int(stride)))
assert (table.status == "ok").all(), table.message
print(peak_gib())
"""
_IMPORTS = """
import time
begin = time.perf_counter()
import torch
after = time.perf_counter()
import maclip_lab
print(time.perf_counter() - after)
"""
_LOAD = """
import sys, time
import torch
from maclip_lab.weights.loading import load_backbone
begin = time.perf_counter()
load_backbone(sys.argv[1])
print(time.perf_counter() - begin)
"""
_HELP = """
import subprocess, sys, time
begin = time.perf_counter()
command = [sys.executable, "-c", "from maclip_lab.cli import main; main()", "--help"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - begin)
"""


def run(rounds: int = 3) -> dict[str, float]:
    """Peak resident GiB of scoring with RN50 on a CPU, and seconds to start.

    Large pictures are cut with a wide stride, to take seconds: crops are streamed, so their
    number changes no peak.

    Args:
        rounds: of the start-up times, of which the median counts.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = str(save_random("RN50", folder))
        small = _pictures(folder, "small", (512, 384), 24)
        large = _pictures(folder, "large", (9488, 6324), 2)
        found = {
            "peak GiB, 3 pictures of 0.2 megapixels": _figure(_SCORE, weights, "512", *small[:3]),
            "peak GiB, 24 pictures of 0.2 megapixels": _figure(_SCORE, weights, "512", *small),
            "peak GiB, 1 picture of 60 megapixels": _figure(_SCORE, weights, "2048", large[0]),
            "peak GiB, 2 pictures of 60 megapixels": _figure(_SCORE, weights, "2048", *large),
        }
        starts = {
            "seconds, import maclip_lab over import torch": (_IMPORTS,),
            "seconds, load RN50 from safetensors": (_LOAD, weights),
            "seconds, maclip-lab --help": (_HELP,),
        }
        for what, arguments in starts.items():
            found[what] = sorted(_figure(*arguments) for _ in range(rounds))[rounds // 2]
    return found


def peak_gib() -> float:
    """Peak resident memory of this process by the operating system's count."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's figure would include the parent's
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**20
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _pictures(folder: Path, name: str, size: tuple[int, int], count: int) -> list[str]:
    image = picture(*size)
    paths = [str(folder / f"{name}{i}.jpg") for i in range(count)]
    for path in paths:
        image.save(path, quality=90)
    return paths


def _figure(program: str, *arguments: str) -> float:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
