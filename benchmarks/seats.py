"""What one seat of a course takes: each notebook run from top to bottom in a kernel of its own.

    python -m benchmarks.seats             all of them, as the rows of docs/teaching.md
    python -m benchmarks.seats 00 05       those whose names begin so

Peak resident memory is the kernel's, by the operating system's count; CPU seconds are those of the
kernel and its children, on one thread. Features start in an empty folder, so it is a first run.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from benchmarks.__main__ import machine

ROOT = Path(__file__).parents[1]
LAST = """
import json, resource
from benchmarks.memory import peak_gib
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([1024 * peak_gib(), sum(one.ru_utime + one.ru_stime for one in used)]))
"""
SERVER = ("-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0", "--ServerApp.token=x")


def run(names: Sequence[str] = ()) -> Iterator[tuple[str, float, float, float]]:
    """Name, peak MiB, CPU seconds and seconds by the clock of each notebook."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as store:
        for path in paths:
            if not names or path.name.startswith(tuple(names)):
                yield path.stem, *_seat(path, store)


def _seat(path: Path, store: str) -> tuple[float, float, float]:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = cell.source.replace("STORE = None", f"STORE = {store!r}")
    notebook.cells.append(nbformat.v4.new_code_cell(LAST))
    folder = {"metadata": {"path": str(path.parent)}}
    begin = time.perf_counter()
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=folder).execute()
    clock = time.perf_counter() - begin
    peak, seconds = json.loads(notebook.cells[-1].outputs[0].text)
    return peak, seconds, clock


def server_mib(seconds: float = 15) -> float:
    """Resident MiB of a JupyterLab server that has started and waits."""
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, *SERVER],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(seconds)
            return psutil.Process(server.pid).memory_info().rss / 2**20
        finally:
            server.terminate()
            server.wait()


def main(names: Sequence[str]) -> None:
    """Prints a table for the page, and where it was taken."""
    os.environ.update(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    facts = machine()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    where = f"{facts['processor']}, {facts['cores']} cores, torch {facts['torch']}"
    print(f"{date.today()}, commit {commit}, {where}")
    print(f"JupyterLab's server {server_mib():.0f} MiB", flush=True)
    print("| notebook | peak MiB | CPU seconds |\n| --- | --- | --- |")
    for name, peak, seconds, clock in run(names):
        print(f"| {name} | {peak:.0f} | {seconds:.0f} |", flush=True)
        print(f"{name}: {clock:.0f} s by the clock", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
