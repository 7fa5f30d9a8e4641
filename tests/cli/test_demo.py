"""The demonstration's two results are results like all others: whole, and with their record."""

import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement
from PIL import Image
from scipy import stats

from maclip_lab import Maclip
from maclip_lab.cli import project as demo
from maclip_lab.datasets import Edition
from maclip_lab.features import packs
from maclip_lab.files.atomic import StorageFullError
from maclip_lab.files.provenance import read_record
from tests.cli.conftest import run
from tests.conftest import posix
from tests.store_world import ROOT

WRITTEN = ["ranking.png", "ranking.png.provenance.json", "scores.csv", "scores.csv.provenance.json"]


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """A demonstration of five pictures a photograph."""
    with pytest.MonkeyPatch.context() as patch:
        small = Edition(demo.EDITION.name, ("jpeg", "darken"), (1, 5))
        patch.setattr(demo, "EDITION", small)
        scorer = Maclip("tiny-rn", offline=True)
        yield demo.ranked_photographs(tmp_path_factory.mktemp("demo"), scorer)


def test_the_figure_and_the_table_are_explained_and_whole_though_the_disk_fills_up(
    ranked, tmp_path, monkeypatch
):
    figure, table = demo.write_demo(ranked, 0.9, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN
    for result in (figure, table):
        record = read_record(result)
        assert record["backbone"] == "tiny-rn"
        assert len(record["weights_sha256"]) == len(record["manifest_sha256"]) == 64
        assert record["dataset"] == "synthetic-demo"
        code, output, _ = run("explain", result)
        assert (code, "would reproduce it" in output) == (0, True)
    with Image.open(figure) as image:
        image.load()
    frame = pd.read_csv(table)
    assert frame["score"].is_monotonic_decreasing
    assert len(frame) == 12 * (1 + 2 * 2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(temporary, name, data, durable):
        temporary.write_bytes(b"half of it")
        raise StorageFullError(28, "no room", name)

    monkeypatch.setattr("maclip_lab.files.atomic._write", full)
    with pytest.raises(StorageFullError):
        demo.write_demo(ranked, 0.9, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_opinion_is_told_apart_from_severity_and_absent_packs_are_said(
    ranked, tmp_path, monkeypatch
):
    severity, scorer = demo.agreement_with_severity(ranked), Maclip("tiny-rn", offline=True)
    opinion, absent = demo.agreement_with_opinion(scorer)
    assert len(opinion.columns) + len(absent) == len(demo.SHIPPED)
    assert list(opinion.index) == list(severity.index) == list(demo.CUES)
    srcc = stats.spearmanr(ranked["score"], ranked["mos"]).statistic
    assert severity.loc["MA-CLIP", "over all"] == pytest.approx(srcc)
    monkeypatch.setattr(packs, "data_path", lambda *parts: tmp_path.joinpath(*parts))
    table, absent = demo.agreement_with_opinion(scorer)
    assert table.empty
    assert [reason.split(" as ")[0] for reason in absent] == [
        f"there is no pack of {name}" for name in demo.SHIPPED
    ]


def installed_by_the_package_alone():
    """What pip installs with the package and without an extra, as found in this environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, seen = list(map(Requirement, project["dependencies"])), {}
    while waiting:
        needed = waiting.pop()
        if needed.name in seen or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        seen[needed.name] = distribution(needed.name)
        waiting += map(Requirement, seen[needed.name].requires or ())
    return seen.values()


ALONE = """
import importlib.util, sys
from maclip_lab import cli
from maclip_lab.cli import project as demo
from maclip_lab.datasets import Edition
absent = ("IPython", "ipywidgets", "jupyterlab", "distributed", "pytest", "papermill")
assert not any(map(importlib.util.find_spec, absent))
for name in cli.COMMANDS:
    for inner in getattr(cli.Later(name).load(), "commands", None) or [None]:
        cli.app([name, *filter(None, [inner]), "--help"], standalone_mode=False)
demo.EDITION = Edition(demo.EDITION.name, ("jpeg",), (3,))  # the whole one takes a minute
sys.argv = ["maclip-lab", "demo", "-q", "-o", sys.argv[1]]
cli.main()
"""


@posix
def test_the_demo_and_every_help_text_need_nothing_but_the_package(tmp_path):
    """An environment of its own, into which what pip would install is linked."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True, timeout=60)
    site = next(home.glob("lib/python*/site-packages"))
    for package in installed_by_the_package_alone():
        for entry in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (site / entry).exists():
                (site / entry).symlink_to(Path(package.locate_file(entry)))
    (site / "maclip.pth").write_text(str(ROOT))
    done = subprocess.run(
        [home / "bin" / "python", "-I", "-c", ALONE, tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= set(WRITTEN)
