import shutil
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from maclip_lab.datasets import CARDS, Choices, Finding, check_dataset, open_dataset
from tests.datasets.facsimile import LAYOUTS, NATIVE, build
from tests.datasets.publishers import PUBLISHERS


def kinds(report, severity: str | None = None) -> set[str]:
    return {f.kind for f in report.findings if severity in (None, f.severity)}


def of_kind(report, kind: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind == kind]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole CSIQ, its pictures of the right size."""
    return build("CSIQ", tmp_path_factory.mktemp("whole"), size=(512, 512))


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "csiq")


def test_a_whole_copy_is_fit_for_use(whole):
    seen = []
    report = check_dataset("csiq", whole, progress=lambda paths: seen.extend(paths) or paths)
    assert report.ok
    assert len(set(seen)) == report.rows == 866
    assert kinds(report) == {"direction"}
    assert "fit for use" in str(report)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_few_rows_of_any_set_lack_only_rows(tmp_path, name):
    folder = build(name, tmp_path, rows=60, size=PUBLISHERS[name].size or (32, 24))
    report = check_dataset(name, folder)
    assert kinds(report, "error") == {"rows"}
    assert ("extra" in kinds(report)) == (name == "AGIQA-1k")  # its picture of two scores
    assert "expected" in of_kind(report, "rows")[0].message


def test_every_way_a_picture_can_be_broken_is_told(copy):
    folder = copy / "dst_imgs/awgn"
    good = (folder / "1600.AWGN.5.png").read_bytes()
    (folder / "1600.AWGN.1.png").write_bytes(b"")
    (folder / "1600.AWGN.2.png").write_bytes(b"not a picture")
    (folder / "1600.AWGN.3.png").write_bytes(good[: len(good) // 2])
    (folder / "1600.AWGN.4.png").unlink()
    (folder / "1600.AWGN.4.png").mkdir()
    (folder / "1600.AWGN.5.png").unlink()
    (folder / "1600.AWGN.5.png").symlink_to("1600.AWGN.5.png")
    Image.new("RGB", (256, 256)).save(copy / "dst_imgs/blur/1600.BLUR.1.png")
    report = check_dataset("CSIQ", copy)
    told = dict(entry.split(": ")[:2] for entry in of_kind(report, "undecodable")[0].files)
    assert [name[-5] for name in told] == ["1", "2", "3"]
    assert list(told.values()) == ["empty", "unsupported", "decode_error"]
    assert set(of_kind(report, "missing")[0].files) == {"1600.AWGN.4.png", "1600.AWGN.5.png"}
    assert of_kind(report, "size")[0].files == ("dst_imgs/blur/1600.BLUR.1.png: 256 x 256",)
    assert kinds(report, "error") == {"undecodable", "missing", "size"}
    assert [finding.severity for finding in report.findings] == ["error"] * 3 + ["note"]
    assert str(report).splitlines()[0].endswith("not fit for use as it is")
    assert kinds(check_dataset("CSIQ", copy, decode=False), "error") == {"missing"}


def test_pictures_known_to_differ_in_size_are_not_told(tmp_path, monkeypatch):
    folder = build("livec", tmp_path, size=(640, 960), skip=lambda name: name != "1024.JPG")
    assert not of_kind(check_dataset("livec", folder), "size")
    monkeypatch.setitem(CARDS, "livec", replace(CARDS["livec"], other_sizes={}))
    assert of_kind(check_dataset("livec", folder), "size")


def test_pictures_without_a_score_and_second_copies_are_told(copy):
    shutil.copy(copy / "src_imgs/1600.png", copy / "dst_imgs/awgn/mine.png")
    report = check_dataset("CSIQ", copy, decode=False)
    assert of_kind(report, "extra")[0].severity == "warning"
    assert of_kind(report, "extra")[0].files == (str(copy / "dst_imgs/awgn/mine.png"),)
    assert report.ok
    shutil.copytree(copy / "dst_imgs/awgn", copy / "dst_imgs_all")
    report = check_dataset("CSIQ", copy, decode=False)
    assert "is 2 files under" in of_kind(report, "duplicate")[0].message
    assert not report.ok


@pytest.mark.parametrize(
    ("name", "file", "titles"),
    [
        ("CSIQ", "csiq_label.txt", ["name", "mos"]),
        ("TID2013", "mos_with_names.txt", ["mos", "name"]),
    ],
)
def test_flipped_and_shuffled_scores_are_told(tmp_path, name, file, titles):
    folder = build(name, tmp_path, layout=LAYOUTS[name][1], native=NATIVE, skip=lambda _: True)
    table = pd.read_csv(folder / file, sep=" ", names=titles)
    shuffled = table["mos"].sample(frac=1, random_state=0).to_numpy()
    for scores, flipped in (
        (table["mos"], False),
        (table["mos"].max() - table["mos"], True),
        (shuffled, True),
    ):
        table.assign(mos=scores).to_csv(folder / file, sep=" ", header=False, index=False)
        finding = of_kind(check_dataset(name, folder, decode=False), "direction")[0]
        assert finding.severity == ("error" if flipped else "note")
        assert ("look flipped or shuffled" in finding.message) == flipped


def test_scores_out_of_range_and_repeated_rows_are_told(tmp_path):
    folder = build("kadid", tmp_path, rows=30)
    table = pd.read_csv(folder / "dmos.csv")
    table.loc[3, "dmos"] = 9.5
    table.to_csv(folder / "dmos.csv", index=False)
    finding = of_kind(check_dataset("kadid", folder, decode=False), "range")[0]
    assert (finding.severity, finding.files) == ("error", (table["dist_img"][3],))
    with pytest.warns(UserWarning, match="1 scores are not within 1 to 5"):
        open_dataset("kadid", folder)
    pd.concat([table, table[1:2]]).to_csv(folder / "dmos.csv", index=False)
    report = check_dataset("kadid", folder, decode=False)
    assert "duplicate" in kinds(report, "error")
    assert report.rows == 31


def test_unreadable_annotations_end_in_a_report(tmp_path):
    report = check_dataset("kadid", tmp_path)
    assert kinds(report, "error") == {"annotations"}
    (tmp_path / "dmos.csv").write_text("dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,x,1\n")
    report = check_dataset("kadid", tmp_path)
    assert "no finite numbers" in of_kind(report, "annotations")[0].message
    assert not check_dataset("kadid", tmp_path / "nowhere").ok


def test_the_known_repetition_of_agiqa1k_is_only_a_warning(tmp_path):
    folder = build("AGIQA-1k", tmp_path)
    assert check_dataset("AGIQA-1k", folder, decode=False).ok
    paper = check_dataset("AGIQA-1k", folder, Choices(variant="paper"), decode=False)
    assert paper.ok
    assert of_kind(paper, "duplicate")[0].severity == "warning"


def test_koniq_is_checked_in_the_resolution_asked_for(tmp_path):
    folder = build("koniq", tmp_path, rows=10, size=(512, 384))
    assert "size" in kinds(check_dataset("koniq", folder))
    assert "size" not in kinds(check_dataset("koniq", folder, Choices(resolution="512x384")))
