"""Victims, and the pictures they work on."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from maclip_lab.datasets.manifest import Manifest
from maclip_lab.features import Extractor, Features
from tests.faults import victims
from tests.store_world import manifest, picture

PATIENCE = 400.0  # seconds; a loaded machine is no failure
HERE = Path(__file__).parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.faults.victims"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.fault)


@dataclass
class Victim:
    """A child process and what it says."""

    process: multiprocessing.process.BaseProcess
    line: Connection

    def hear(self) -> object:
        """Its next message; None once it has died."""
        assert self.line.poll(PATIENCE), "the child says nothing"
        try:
            return self.line.recv()
        except EOFError:
            return None

    def finish(self) -> list[str]:
        """What it keeps until it has done its work."""
        kept = []
        while isinstance(said := self.hear(), str):
            kept.append(said)
        assert self.end() == 0
        return kept

    def end(self) -> int:
        """Wait for its end; its exit status."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "the child does not end"
        return self.process.exitcode


@pytest.fixture
def start() -> Iterator[Callable[..., Victim]]:
    """Starts a function of `victims`, given a line to speak on as its last argument."""
    started = []

    def run(work: Callable[..., None], *arguments: object) -> Victim:
        ours, theirs = SERVER.Pipe(duplex=False)
        process = SERVER.Process(target=work, args=(*arguments, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append(Victim(process, ours))
        return started[-1]

    yield run
    for victim in started:
        victim.process.kill()
        victim.process.join()
        victim.process.close()
        victim.line.close()


@pytest.fixture(scope="session")
def rows(tmp_path_factory) -> Manifest:
    """Ten small pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(10):
        picture(folder / f"p{i}.png", i)
    return manifest(folder, [f"p{i}.png" for i in range(10)])


@pytest.fixture(scope="session")
def clean(rows, tmp_path_factory) -> Features:
    """The features of an uninterrupted run."""
    return Extractor(victims.SCORER, tmp_path_factory.mktemp("clean")).crops(rows)


@pytest.fixture
def world() -> Iterator[Path]:
    """A folder with pictures that anybody may enter and its owner alone may change."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pictures").mkdir()
        for i in range(3):
            picture(folder / "pictures" / f"p{i}.png", i)
        yield folder


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def inventory(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it."""
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
