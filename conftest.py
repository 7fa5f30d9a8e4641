"""How pytest runs the notebooks: in this environment, on this checkout, every output compared."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
CELL_TIMEOUT = 300
OUTPUT_TIMEOUT = 60


def pytest_configure(config: pytest.Config) -> None:
    """Points nbval at this environment and the sanitize file, and kernels at this checkout.

    What stands on ``PYTHONPATH`` already comes first, so that a changed copy of the package can be
    put before this one. A kernel draws into its notebook only where no other backend is asked for.
    """
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(ROOT / "notebooks" / "sanitize.cfg")
    config.option.nbval_cell_timeout = CELL_TIMEOUT
    paths = filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ.pop("MPLBACKEND", None)
    # tiny models gain nothing from a second thread, and on a busy machine wait for it for minutes
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leaves stderr out of the comparison: progress bars and notes of other libraries go there."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr", "image/svg+xml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives a busy machine time to deliver a cell's output; nbval's own limit is 5 s."""
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = OUTPUT_TIMEOUT
