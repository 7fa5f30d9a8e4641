import json
import os

import pandas as pd
import pytest

from maclip_lab.files import provenance
from maclip_lab.files.atomic import temporary_beside
from maclip_lab.files.provenance import differences, provenance_record, read_record, write_table
from maclip_lab.fusion import FusionSettings

FRAME = pd.DataFrame({"path": ["a b.png", "ü.png"], "score": [0.1 + 0.2, float("nan")]})
FACTS = {"backbone": "tiny-rn", "weights_sha256": "ab", "dataset": "koniq", "manifest_sha256": "cd"}


def written(path):
    return write_table(FRAME, path, provenance_record({**FACTS, "settings": FusionSettings()}))


def apart(path):
    return differences(path, read_record(path))


@pytest.mark.parametrize("name", ["r.parquet", "r.csv", "😀" * 14 + ".csv", "😀" * 58 + ".csv"])
def test_a_table_comes_back_with_its_record_beside_it_and_what_died_there_goes(tmp_path, name):
    abandoned = temporary_beside(tmp_path / name)
    abandoned.touch()
    os.utime(abandoned, (0, 0))
    path = written(tmp_path / name)
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    pd.testing.assert_frame_equal(read(path), FRAME, check_exact=True)
    record = read_record(path)
    assert record["result"] == name
    assert record["config"]["settings"]["base_norm"] == 0.6
    assert record["versions"] == provenance.versions()
    assert {key: record[key] for key in FACTS} == FACTS
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.provenance.json"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path, _: path.write_text(path.read_text() + "x"), "changed since it was written"),
        (lambda _, record: record.update(code_sha256="0"), "the package's code differs"),
        (lambda _, record: record["config"].update(alpha=2), "configuration and its hash disagree"),
        (lambda _, record: record["versions"].update(torch="1.0"), "torch was 1.0 and is"),
        (lambda _, record: record["versions"].update(jax="1.0"), "jax was 1.0 and is absent"),
    ],
)
def test_what_differs_is_named(tmp_path, spoil, words):
    path = written(tmp_path / "r.csv")
    record = read_record(path) | {"commit": "another"}
    assert differences(path, record) == []
    spoil(path, record)
    provenance.record_path(path).write_text(json.dumps(record))
    (difference,) = apart(path)
    assert words in difference


def test_the_codes_hash_follows_every_source_file(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    hashes = []
    for name, content in [("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("c.txt", "3")]:
        (tmp_path / name).write_text(content)
        hashes.append(provenance.code_sha256())
    assert len(set(hashes)) == 3
    assert hashes[2] == hashes[3]
    assert provenance.current_commit() == ""


def test_a_table_joined_from_several_results_is_explained_by_all(tmp_path):
    parts = [provenance_record({**FACTS, "backbone": name}) for name in ("RN50", "ViT-B/32")]
    path = write_table(FRAME, tmp_path / "deep" / "r.csv", {"parts": parts})
    assert apart(path) == []
    parts[1]["versions"]["torch"] = "1.0"
    write_table(FRAME, path, {"parts": parts})
    assert apart(path) == [f"torch was 1.0 and is {provenance.versions()['torch']}"]


def test_a_table_that_carries_its_settings_needs_no_record(tmp_path):
    frame = FRAME.copy()
    frame.attrs = {"backbone": "RN50", "weights_sha256": "ab" * 32, "alpha": 1.0}
    record = read_record(write_table(frame, tmp_path / "r.parquet"))
    assert record["backbone"] == "RN50"
    assert record["config"] == frame.attrs


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "has no record"),
        *((text, "is not a provenance record") for text in ("{", "[" * 200_000)),
        ('{"config_sha256":"","config":' + "[" * 200_000, "is not a provenance record"),
        ("[]", "names no configuration"),
    ],
)
def test_a_result_without_a_record_is_an_error_that_says_so(tmp_path, content, words):
    (tmp_path / "r.csv").touch()
    if content is not None:
        provenance.record_path(tmp_path / "r.csv").write_text(content)
    with pytest.raises(provenance.ProvenanceError, match=words):
        read_record(tmp_path / "r.csv")


@pytest.mark.parametrize(
    ("frame", "name", "said"),
    [
        (FRAME, "r.xls", r"\.parquet or \.csv, got 'r\.xls'"),
        (pd.DataFrame({"x": [object()]}), "r.parquet", "object"),
    ],
)
def test_a_table_that_cannot_be_written_leaves_the_old_ones_alone(tmp_path, frame, name, said):
    written(tmp_path / "r.parquet")
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=said):
        write_table(frame, tmp_path / name)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_a_configurations_hash_follows_its_values_alone():
    pairs = (("a", "b"),)
    one = provenance.config_sha256({"settings": FusionSettings(), "pairs": pairs})
    two = provenance.config_sha256({"pairs": [["a", "b"]], "settings": vars(FusionSettings())})
    assert one == two
    assert one != provenance.config_sha256({"settings": FusionSettings(alpha=2), "pairs": pairs})


def test_a_file_name_with_a_carriage_return_stays_one_row(tmp_path):
    frame = pd.DataFrame({"path": ["cr\rname.png", "b.png", 'q",\n.png'], "score": [0.1, 0.2, 0.3]})
    path = write_table(frame, tmp_path / "r.csv", provenance_record({}))
    pd.testing.assert_frame_equal(pd.read_csv(path), frame, check_exact=True)


def test_a_table_has_the_same_bytes_on_every_system(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "linesep", "\r\n")
    lines = "path,score\na b.png,0.30000000000000004\nü.png,\n"
    assert written(tmp_path / "a.csv").read_bytes() == lines.encode()
