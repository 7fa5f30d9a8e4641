"""All measurements in one command: ``make bench``, or ``python -m benchmarks``.

Tables go to the screen; ``--output`` keeps everything as JSON.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import coverage, encoder, evaluation, memory, pipeline, precision, scale, store
from maclip_lab.files.provenance import versions


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurements asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sets")
    parser.add_argument("--only", nargs="+", help="measurements to run, by the table's title")
    options = parser.parse_args(arguments)
    tasks = _tasks(options.quick)
    unknown = sorted(set(options.only or ()) - tasks.keys())
    if unknown:
        parser.error(f"no measurement is called {unknown[0]!r}; there are {', '.join(tasks)}")
    results: dict[str, object] = {"machine": machine()}
    _show("machine", results["machine"])
    for name in options.only or tasks:
        print(f"\n{name}", flush=True)
        results[name] = tasks[name]()
        _show(name, results[name])
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """Where the figures were taken."""
    facts: dict[str, object] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        **versions(),
    }
    if torch.cuda.is_available():
        facts["accelerator"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _tasks(quick: bool) -> dict[str, Callable[[], object]]:
    rounds = 1 if quick else 3
    cuda = torch.cuda.is_available()
    tasks: dict[str, Callable[[], object]] = {
        "encoder": lambda: encoder.run(
            sizes=encoder.SIZES[1:] if quick else encoder.SIZES, rounds=rounds, device="cpu"
        ),
        "pipeline": lambda: pipeline.run(2 if quick else 4, rounds=rounds, device="cpu"),
        "memory and start": lambda: memory.run(rounds),
        "precision": lambda: precision.run(8 if quick else 24),
        "statistics": lambda: evaluation.run(*((1000, 200, 1) if quick else ())),
        "coverage": lambda: coverage.run(*((10,) if quick else ())),
        "store": lambda: store.run(*((1007, 2, 1) if quick else ())),
        "scale": lambda: scale.run(*((4, 200, 1) if quick else ())),
    }
    for kind in ("fp32", "bf16", "fp16") if cuda else ():
        tasks[f"encoder, cuda {kind}"] = lambda kind=kind: encoder.run(
            rounds=rounds, device="cuda", precision=kind
        )
        tasks[f"pipeline, cuda {kind}"] = lambda kind=kind: pipeline.run(
            64 if quick else 512, rounds=rounds, device="cuda", precision=kind
        )
    return tasks


def _show(name: str, result: object) -> None:
    if isinstance(result, Mapping) and name != "store":  # the store prints its own table
        for what, value in result.items():
            if what != "times":
                print(f"  {what:<46}{_plain(value)}", flush=True)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
