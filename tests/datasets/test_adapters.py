"""Every set in every layout, against the rows the facsimile was built from."""

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from maclip_lab.crops import protocol_for
from maclip_lab.datasets import CARDS, DatasetError, DatasetWarning, find_datasets, open_dataset
from tests.datasets.facsimile import LAYOUTS, NATIVE, build, rows_of
from tests.datasets.publishers import koniq_votes

small = pytest.mark.filterwarnings("ignore::maclip_lab.datasets.DatasetWarning")
WITH_DEVIATIONS = {
    *(("livec", "native"), ("CSIQ", "native"), ("TID2013", "lower"), ("kadid", "nested")),
    *(("SPAQ", "std"), ("AGIQA-3k", "native"), ("koniq", "both")),
}
DISTORTED = {"CSIQ": (6, 30), "TID2013": (24, 25), "kadid": (25, 81), "PIPAL": (8, 225)}
CASES = [(name, layout) for name, layouts in LAYOUTS.items() for layout in layouts]


def expected(name: str, table: pd.DataFrame, variant: str) -> pd.DataFrame:
    """What a set's manifest must hold, worked out anew."""
    names = table["name"]
    if name == "livec" and variant == "standard":
        return table[~names.isin([f"t{i}.bmp" for i in range(1, 8)])]
    if name == "AGIQA-1k" and variant == "standard":
        return table[~names.duplicated(keep=False)]
    if name == "koniq":
        counts, total = koniq_votes(table)
        points = counts @ np.arange(1, 6)
        if variant == "standard":
            return table.assign(mos=points / total)
        exact = [Decimal(int(p)) / int(t) for p, t in zip(points, total, strict=True)]
        rounded = [score.quantize(Decimal("0.01"), ROUND_HALF_UP) for score in exact]
        return table.assign(mos=list(map(float, rounded)))
    if name == "PIPAL" and variant == "paper":
        val = names.str[6:8] == "10"
        train = (table["mos"] - 916.7136) / 919.272
        return table.assign(mos=train.mask(val, (table["mos"] - 868.2988) / 988.7012))
    return table


@small
@pytest.mark.parametrize("variant", ["standard", "paper"])
@pytest.mark.parametrize(("name", "layout"), CASES)
def test_a_set_is_read_from_every_layout(tmp_path, name, layout, variant):
    folder = build(name, tmp_path, layout=layout, rows=40)
    manifest = open_dataset(name, folder, variant=variant)
    truth = expected(name, rows_of(name, rows=40), variant)
    assert manifest.table["name"].tolist() == truth["name"].tolist()
    np.testing.assert_allclose(manifest.table["mos"], truth["mos"], rtol=0, atol=6e-6)
    if (name, layout) in WITH_DEVIATIONS:
        np.testing.assert_allclose(manifest.table["mos_std"], truth["std"], atol=6e-6)
    assert all(path.is_file() for path in manifest.paths)
    assert [p.name.lower() for p in manifest.paths] == [n.lower() for n in truth["name"]]
    assert manifest.missing == ()
    assert (manifest.dataset, manifest.variant) == (name, variant)
    assert manifest.higher_is_better is (name != "CSIQ")
    assert protocol_for(manifest.protocol) == protocol_for(name)


@small
def test_all_sets_are_found_below_one_folder_and_read_from_it(tmp_path):
    for name in LAYOUTS:
        build(name, tmp_path / "sets", rows=12)
    build("kadid", tmp_path / "bare", rows=12, skip=lambda _: True)
    (tmp_path / "bare" / "data.csv").write_text("name,other\n1,2\n")
    assert find_datasets(tmp_path / "bare") == {}
    roots = find_datasets(tmp_path / "sets")
    assert list(roots) == [name for name in CARDS if name in LAYOUTS]
    for name, root in roots.items():
        assert root == tmp_path / "sets" / name.lower()
        assert open_dataset(name, tmp_path / "sets").sha256 == open_dataset(name, root).sha256


@small
def test_pictures_beside_the_annotations_folder_are_found(tmp_path):
    """A repository with the scores, its pictures unpacked next to it."""
    folder = build("AGIQA-3k", tmp_path, layout="nested", rows=12)
    (folder / "repository").mkdir()
    (folder / "data.csv").rename(folder / "repository" / "data.csv")
    manifest = open_dataset("agiqa-3k", tmp_path)
    assert manifest.root == folder
    assert find_datasets(tmp_path) == {"AGIQA-3k": folder}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_whole_set_gives_the_authors_list_without_a_warning(tmp_path, name):
    folder, card = build(name, tmp_path, native=NATIVE, skip=lambda _: True), CARDS[name]
    truth = expected(name, rows_of(name, native=NATIVE), "paper")
    manifest = open_dataset(name, folder, variant="paper", missing="keep")
    assert len(manifest) == card.paper_rows
    assert manifest.table["name"].tolist() == truth["name"].tolist()
    np.testing.assert_allclose(manifest.table["mos"], truth["mos"], rtol=0, atol=1e-15)
    if name in DISTORTED:
        facets = manifest.table[["dist_type", "ref_id"]]
        assert tuple(facets.nunique()) == DISTORTED[name]
        assert not facets.isna().any(axis=None)
        levels = {pd.NA} if name == "PIPAL" else {1, 2, 3, 4, 5}
        assert set(manifest.table["dist_level"]) == levels
    if card.rows != card.paper_rows:
        assert len(open_dataset(name, folder, missing="keep")) == card.rows


@pytest.mark.usefixtures("shared")
def test_koniq_paper_scores_agree_with_what_is_known_of_the_list(tmp_path):
    folder = build("koniq", tmp_path, layout="sets", native=NATIVE, skip=lambda _: True)
    paper, exact, z = (
        open_dataset("koniq", folder, missing="keep", **options).table
        for options in ({"variant": "paper"}, {}, {"scores": "zscore"})
    )
    assert paper["mos"].nunique() == 301
    assert (paper["mos"].min(), paper["mos"].max()) == (1.10, 4.31)
    assert (paper["mos"] - exact["mos"]).abs().max() == pytest.approx(0.005)
    assert (paper["mos"] != exact["mos"].round(2)).sum() == 22
    assert stats.spearmanr(paper["mos"], z["mos"]).statistic == pytest.approx(0.9919, abs=5e-5)
    assert stats.pearsonr(paper["mos"], z["mos"]).statistic == pytest.approx(0.9953, abs=5e-5)
    assert paper["split"].value_counts().to_dict() == {"train": 7058, "val": 1000, "test": 2015}


@small
@pytest.mark.parametrize("layout", LAYOUTS["koniq"])
def test_koniq_scores_depend_neither_on_the_file_nor_on_the_resolution(tmp_path, layout):
    folder = build("koniq", tmp_path, layout=layout, rows=30)
    exact = expected("koniq", rows_of("koniq", rows=30), "standard")["mos"]
    for resolution in CARDS["koniq"].resolutions:
        table = open_dataset("koniq", folder, resolution=resolution).table
        np.testing.assert_allclose(table["mos"], exact, rtol=1e-9)
        assert table["path"].str.startswith(f"{resolution}/").all()
    z = open_dataset("koniq", folder, scores="zscore")
    np.testing.assert_allclose(z.table["mos"], (exact - 1) * 25, rtol=1e-9)
    assert z.mos_range == (0, 100)
    assert z.table["mos_std"].isna().all()


@small
def test_koniq_needs_pictures_of_the_usual_resolution_and_votes_that_add_up(tmp_path):
    folder = build("koniq", tmp_path, rows=10)
    (folder / "1024x768").rename(tmp_path / "1024x768")
    with pytest.raises(DatasetError, match=r"none of 10 pictures.* in a folder for 1024x768"):
        open_dataset("koniq", folder)
    file = folder / "koniq10k_scores_and_distributions.csv"
    file.write_text(file.read_text().replace("104,", "103,", 1))
    with pytest.raises(DatasetError, match="votes of line 2 do not add up"):
        open_dataset("koniq", folder)


@pytest.mark.usefixtures("shared")
def test_pipal_paper_scales_agree_with_what_is_known_of_the_list(tmp_path):
    folder = build("PIPAL", tmp_path, native=NATIVE, skip=lambda _: True)
    paper = open_dataset("PIPAL", folder, variant="paper", missing="keep")
    elo = open_dataset("PIPAL", folder, missing="keep").table
    for split in ("train", "val"):
        part = paper.table.loc[paper.table["split"] == split, "mos"]
        assert (part.min(), part.max()) == (0.0, pytest.approx(1.0, abs=1e-15))
    both = (paper.table["mos"], elo["mos"])
    assert stats.spearmanr(*both).statistic == pytest.approx(0.99991, abs=5e-6)
    assert stats.pearsonr(*both).statistic == pytest.approx(0.99977, abs=5e-6)
    assert elo["split"].value_counts().to_dict() == {"train": 23200, "val": 1000}
    assert elo["split"].iloc[:23200].eq("train").all()
    assert paper.mos_range == (0, 1)
    (folder / "pipal21_val.txt").unlink()
    assert len(open_dataset("PIPAL", folder, missing="keep")) == 23200
    with pytest.warns(DatasetWarning, match="23200 rows where a whole copy has 24200"):
        open_dataset("PIPAL", folder, missing="keep", variant="paper")


@small
def test_agiqa1k_keeps_or_drops_the_repeated_rows_and_says_so(tmp_path):
    folder = build("AGIQA-1k", tmp_path, rows=12)
    paper = open_dataset("AGIQA-1k", folder, variant="paper")
    standard = open_dataset("AGIQA-1k", folder)
    last, name = paper.table.tail(2), "dreamStudio_8_9_1_1.jpg"
    assert last["name"].tolist() == [name] * 2
    assert (len(set(last["mos"])), len(set(last["path"]))) == (2, 1)
    assert name not in set(standard.table["name"])
    assert name in paper.note
    assert "dropped" in standard.note
    (folder / "file/dreamStudio_8_9_1_1.jpg").rename(folder / "file/dreamStudio_8_9_1_.jpg")
    cut_off = open_dataset("AGIQA-1k", folder, variant="paper")
    assert cut_off.table["path"].iloc[-1] == "file/dreamStudio_8_9_1_.jpg"
    (folder / "AIGC_MOS_Zscore.xlsx").unlink()
    with pytest.raises(DatasetError, match='scores="raw"'):
        open_dataset("AGIQA-1k", folder)


@pytest.mark.usefixtures("shared")
def test_agiqa1k_raw_means_are_another_target(tmp_path):
    folder = build("AGIQA-1k", tmp_path, native=NATIVE, skip=lambda _: True)
    raw = open_dataset("AGIQA-1k", folder, scores="raw", missing="keep").table
    standard = open_dataset("AGIQA-1k", folder, missing="keep").table
    both = raw.merge(standard, on="name")
    assert len(raw) == 1080
    assert stats.spearmanr(both["mos_x"], both["mos_y"]).statistic == pytest.approx(0.805, abs=2e-3)


def test_a_root_too_deep_is_told_where_to_point(tmp_path):
    folder = build("livec", tmp_path, rows=10)
    for below in ("Images", "Data"):
        with pytest.raises(DatasetError, match="root is the set's own folder or one above it"):
            open_dataset("livec", folder / below)


@small
@pytest.mark.parametrize(("name", "layout"), CASES)
def test_letter_case_of_any_file_or_folder_changes_nothing(tmp_path, name, layout):
    folder = build(name, tmp_path / "set", layout=layout, rows=12)
    before = open_dataset(name, folder, variant="paper").table[["name", "mos", "mos_std"]]
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.swapcase()))
    after = open_dataset(name, tmp_path, variant="paper").table[["name", "mos", "mos_std"]]
    pd.testing.assert_frame_equal(before, after, check_exact=True)


def test_tid2008_is_not_taken_for_tid2013_and_where_to_get_that_is_said(tmp_path):
    (tmp_path / "mos_with_names.txt").write_text("5.0 I01_01_1.bmp\n4.0 I01_01_4.bmp\n")
    with pytest.raises(DatasetError, match=r"no annotations of TID2013.*_names\.txt.*ponomarenko"):
        open_dataset("tid2013", tmp_path)


def test_a_partial_copy_warns_drops_and_records_or_is_kept_whole_or_refused(tmp_path):
    folder = build("CSIQ", tmp_path, skip=lambda name: name.startswith("1600"))
    with pytest.warns(DatasetWarning, match=r"CSIQ: 29 of 866 pictures.*left out.*1600\.AWGN\.1"):
        manifest = open_dataset("CSIQ", folder)
    assert (len(manifest), len(manifest.missing)) == (837, 29)
    assert not manifest.table["name"].str.startswith("1600").any()
    kept = open_dataset("CSIQ", folder, missing="keep")
    assert (len(kept), len(kept.missing)) == (866, 29)
    with pytest.raises(DatasetError, match=r'29 of 866 pictures.*missing="drop"'):
        open_dataset("CSIQ", folder, missing="error")


@small
def test_the_partial_copy_of_clive_is_read_where_it_lies(shared):
    if not (shared / "real_mos/CLIVE").is_dir():
        pytest.skip("needs ../shared/real_mos/CLIVE")
    manifest = open_dataset("CLIVE", shared / "real_mos")
    assert (len(manifest), len(manifest.missing)) == (332, 830)
    assert all(path.is_file() for path in manifest.paths)
    truth = rows_of("livec", native=NATIVE).set_index("name")["mos"]
    assert manifest.table["mos"].tolist() == truth[manifest.table["name"]].tolist()


@small
def test_a_second_copy_of_the_pictures_is_an_error_unless_told(tmp_path):
    folder = build("CSIQ", tmp_path, rows=10)
    build("CSIQ", folder / "x", rows=10, layout="flat").joinpath("csiq_label.txt").unlink()
    with pytest.raises(DatasetError, match="is 2 files under"):
        open_dataset("CSIQ", folder)
    manifest = open_dataset("CSIQ", folder, on_collision="first")
    assert manifest.table["path"].str.startswith("dst_imgs/").all()


@small
def test_two_different_score_files_are_an_error(tmp_path):
    build("kadid", tmp_path / "a", rows=10)
    build("kadid", tmp_path / "b", rows=11)
    with pytest.raises(DatasetError, match=r"2 different files.*dmos\.csv"):
        open_dataset("kadid", tmp_path)


@pytest.mark.parametrize("root", [None, "."])
def test_a_set_needs_a_known_name_and_its_folder(root):
    with pytest.raises(ValueError, match=r"no data set is called 'konik'; known are .*koniq"):
        open_dataset("konik", root)
    with pytest.raises(ValueError, match="say where koniq lies: ROOT"):
        open_dataset("koniq")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kadid", {"variant": "papers"}, "variant is one of standard, paper"),
        ("kadid", {"missing": "skip"}, "missing is one of"),
        ("kadid", {"resolution": "512x384"}, "kadid has one kind of resolution"),
        ("kadid", {"scores": "zscore"}, "kadid has one kind of scores"),
        ("koniq", {"scores": "raw"}, "scores is one of mos, zscore"),
        ("koniq", {"resolution": "640x480"}, "resolution is one of"),
        ("koniq", {"variant": "paper", "resolution": "512x384"}, "the paper uses resolution="),
        ("AGIQA-1k", {"variant": "paper", "scores": "raw"}, "the paper uses scores='zscore'"),
        ("kadid", {"on_duplicate": "mean"}, "is for a list of your own"),
        ("kadid", {"path_column": "shot"}, "are for a list of your own"),
    ],
)
def test_a_choice_that_does_not_exist_is_named(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(name, tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("kadid", "dmos.csv", "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,bad,0.1\n"),
        ("kadid", "dmos.csv", "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,nan,0.1\n"),
        ("kadid", "dmos.csv", "dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png\n"),
        ("kadid", "dmos.csv", "dist_img,ref_img,dmos,var\n"),
        ("AGIQA-3k", "data.csv", "name,mos_quality\n"),
        ("CSIQ", "csiq.DMOS.xlsx", "not a workbook"),
        ("SPAQ", "MOS and Image attribute scores.xlsx", ""),
        ("livec", "AllMOS_release.mat", "not MATLAB"),
        ("TID2013", "mos_with_names.txt", "5.0 i01_01_5.bmp extra words\n"),
        ("PIPAL", "pipal22_train.txt", "A0001_00_00.bmp\n"),
        ("koniq", "koniq10k_distributions_sets.csv", "image_name,c1\n1.jpg,0\n"),
    ],
)
def test_a_damaged_score_file_is_our_own_error(tmp_path, name, file, content):
    (tmp_path / file).write_text(content)
    with pytest.raises(DatasetError):
        open_dataset(name, tmp_path)
