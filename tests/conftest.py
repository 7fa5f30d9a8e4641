"""Fixtures that many rooms' tests share."""

import json
import os
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

from maclip_lab.clip.model import CLIP, build_clip
from maclip_lab.weights.loading import expand_token_rows

posix = pytest.mark.skipif(os.name == "nt", reason="needs pipes, signals or limits of POSIX")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium, which is not installed here"
)
GOLDEN = Path(__file__).parent / "data" / "golden"

torch.set_num_threads(1)


def script(path: Path) -> ModuleType:
    """A script of the checkout that no package holds, as a module."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def expected() -> dict:
    """What the authors' implementation computed; see tests/data/golden/README.md."""
    return json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def golden_clips() -> dict[str, CLIP]:
    """The two random CLIPs of the golden files."""
    return {
        name: build_clip(expand_token_rows(load_file(GOLDEN / f"{name}.safetensors")))
        for name in ("rn", "vit")
    }


@pytest.fixture(scope="session")
def scorer():
    """The metric with the random ResNet of the golden files, on the CPU."""
    from maclip_lab import Maclip

    return Maclip(str(GOLDEN / "rn.safetensors"), device="cpu")


@pytest.fixture(scope="session")
def cluster():
    """One Dask worker on this machine, for all tests of a run; reached by its client's address."""
    from maclip_lab.scale.run import dask_client

    with dask_client(1) as client:
        yield client


@pytest.fixture
def shared() -> Path:
    """Third-party data beside the checkout; the test skips where it is absent."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the third-party data in ../shared, which is absent here")
    return folder


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window, that asks nothing of any network."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()
