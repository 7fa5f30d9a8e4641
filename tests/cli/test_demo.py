"""The demonstration's two results are results like all others: whole, and with their record."""

import pandas as pd
import pytest
from PIL import Image

from maclip_lab import Maclip
from maclip_lab.cli import demo
from maclip_lab.cli.demo import run_demo, write_demo
from maclip_lab.datasets import Edition
from maclip_lab.features import packs
from maclip_lab.files.atomic import StorageFullError
from maclip_lab.files.provenance import explain, read_record

WRITTEN = ["ranking.png", "ranking.png.provenance.json", "scores.csv", "scores.csv.provenance.json"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A demonstration of five pictures a photograph."""
    with pytest.MonkeyPatch.context() as patch:
        small = Edition(demo.EDITION.name, ("jpeg", "darken"), (1, 5))
        patch.setattr(demo, "EDITION", small)
        yield run_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(autouse=True)
def same_code(monkeypatch):
    """A checkout that nobody edits while a test runs."""
    monkeypatch.setattr("maclip_lab.files.provenance.current_commit", lambda: "c0ffee")


def test_the_figure_and_the_table_carry_a_record_that_explains_them(found, tmp_path):
    figure, table = write_demo(found, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == WRITTEN
    for result in (figure, table):
        record = read_record(result)
        assert record["backbone"] == "tiny-rn"
        assert len(record["weights_sha256"]) == len(record["manifest_sha256"]) == 64
        assert record["dataset"] == "synthetic-demo"
        assert explain(result, weights_sha256=record["weights_sha256"]).reproduces
    with Image.open(figure) as image:
        image.load()
    frame = pd.read_csv(table)
    assert frame["score"].is_monotonic_decreasing
    assert len(frame) == 12 * (1 + 2 * 2)


def test_a_full_disk_leaves_the_older_figure_and_table_alone(found, tmp_path, monkeypatch):
    write_demo(found, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(temporary, path, data):
        temporary.write_bytes(data[:10])
        raise StorageFullError(28, "no room", str(path))

    monkeypatch.setattr("maclip_lab.files.atomic._write_through", full)
    with pytest.raises(StorageFullError):
        write_demo(found, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_opinion_is_told_apart_from_severity_and_absent_packs_are_said(
    found, tmp_path, monkeypatch
):
    assert len(found.opinion.columns) + len(found.without) == len(demo.SHIPPED)
    assert list(found.opinion.index) == list(found.agreement.index)
    monkeypatch.setattr(packs, "data_path", lambda *parts: tmp_path.joinpath(*parts))
    table, without = demo.read_opinion(Maclip("tiny-rn", offline=True))
    assert table.empty
    assert [reason.split(" as ")[0] for reason in without] == [
        f"there is no pack of {name}" for name in demo.SHIPPED
    ]
