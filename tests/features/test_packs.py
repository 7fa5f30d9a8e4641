"""A pack gives what the pictures gave, and says whose it is."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from maclip_lab import Maclip
from maclip_lab.ablations.rated import study
from maclip_lab.ablations.sweeps import score_store
from maclip_lab.crops import Protocol
from maclip_lab.datasets import DatasetError, open_dataset
from maclip_lab.datasets.synthetic import EDITIONS
from maclip_lab.evaluation import EvaluationSettings
from maclip_lab.features import Extractor, open_pack, packs, write_pack
from maclip_lab.features.features import StoreError
from maclip_lab.files.atomic import read_seal, write_sealed
from maclip_lab.files.provenance import differences, read_record
from maclip_lab.prompts import CLIP_IQA_PROMPTS, MACLIP_PROMPTS
from tests.store_world import RN, grid_of, manifest, pictures

VIT = RN.replace("rn.", "vit.")
FEW = EvaluationSettings(n_boot=20)


@pytest.fixture(scope="module")
def scorer():
    return Maclip(RN, device="cpu")


@pytest.fixture(scope="module")
def world(tmp_path_factory, scorer):
    """A rated set of six pictures, one of them broken, its store's folder, and its pack."""
    folder = tmp_path_factory.mktemp("packs")
    names = pictures(folder / "pictures", 6)
    (folder / "pictures" / names[2]).write_bytes(b"not a picture")
    rows = manifest(folder / "pictures", names)
    crops, whole = Extractor(scorer, folder / "store", "fp16").crops_and_whole(rows)
    return rows, folder / "store", write_pack(folder / "six.safetensors", crops, whole, scorer)


@pytest.fixture
def other(world, tmp_path):
    """A copy of the pack, to be spoilt."""
    return shutil.copy(world[2], tmp_path / "six.safetensors")


def rewritten(path, **changes):
    """The pack with parts of its header replaced, sealed anew."""
    header = read_seal(path, "a pack")
    del header["file_sha256"]
    tensors = load_file(path)
    with path.open("wb") as file:
        write_sealed(file, tensors, header | changes)
    return path


@pytest.fixture
def packed(tmp_path, scorer):
    """Puts features into a pack, and opens it."""

    def run(crops, whole=None, **options):
        return open_pack(write_pack(tmp_path / "x.safetensors", crops, whole, scorer, **options))

    return run


# What a pack gives ---------------------------------------------------------------------------


def test_a_pack_gives_the_scores_of_the_pictures_to_half_precision_and_is_named(world, scorer):
    rows, store, path = world
    beside, pack = read_record(path), open_pack(path)
    assert {**pack.record} == {k: v for k, v in beside.items() if not k.startswith("result")}
    assert beside["config"]["dtype"] == "fp16"
    assert beside["weights_sha256"] == scorer.backbone.sha256
    assert beside["data"] == rows.data(Extractor(scorer, store).crops(rows).table)
    assert beside["data"]["pictures_sha256"]
    assert differences(path, beside) == []
    ours = study(Extractor(scorer, store), rows, statistics=FEW)
    theirs = study(Extractor(pack, store), pack.manifest, statistics=FEW)
    for name in ("score", "q_cos", "q_mag", "clip_iqa"):
        seen, packed_ = ours.predictions[name], theirs.predictions[name]
        np.testing.assert_allclose(packed_, seen, rtol=2e-3)
        assert seen.notna().sum() == 5
    told = ["name", "path", "mos", "n_crops", "status", "flags", "message"]
    assert theirs.predictions[told].equals(ours.predictions[told])
    assert list(theirs.table["method"]) == list(ours.table["method"])
    assert set(theirs.table["backbone"]) == {RN}
    assert theirs.record["config"].pop("pack_sha256") == pack.manifest.pack_sha256
    assert theirs.record["config"].pop("dtype") == "fp16"
    assert ours.record["config"].pop("dtype") == "fp32"
    assert theirs.record["config"] == ours.record["config"]


def test_the_features_are_the_stored_ones_rounded_or_not(world, scorer, packed):
    rows, store, path = world
    stored, pack = Extractor(scorer, store).crops(rows), open_pack(path)
    precise = packed(stored)
    for i in stored.ok:
        assert torch.equal(precise.crops.features(i), stored.features(i))
        assert torch.equal(pack.crops.features(i), stored.features(i).half().float())
        assert grid_of(pack.crops, i) == grid_of(stored, i)
        assert pack.crops.table["width"][i] == stored.table["width"][i]
    assert torch.equal(pack.crops.stack(), stored.stack().half().float())
    assert (pack.crops.config.dtype, precise.crops.config) == ("fp16", stored.config)
    assert precise.record["config"]["dtype"] == "fp32"
    assert "5 of 6 pictures" in repr(pack)
    with pytest.raises(StoreError, match=r"p2\.png has no features: unsupported, .*p2\.png"):
        pack.crops.features(2)


def test_the_manifest_with_every_column_and_what_is_missing_comes_through(world, scorer, packed):
    rows, store, _ = world
    table = rows.table.assign(
        mos_std=[0.5, None, 0.25, 1, 2, 3],
        ref_id=["a", "a", "b", None, "é", "a"],
        dist_type=["jpeg"] * 6,
        dist_level=[1, None, 3, 4, 5, 5],
    )
    full = replace(
        rows, table=table, dataset="mine", higher_is_better=False, mos_range=(-1.0, 9.5),
        variant="file", note="from a list", missing=("gone.png",),
    )  # fmt: skip
    back = packed(Extractor(scorer, store).crops(full)).manifest
    assert back.table.equals(full.table)
    for name in ("dataset", "higher_is_better", "mos_range", "variant", "note", "missing"):
        assert getattr(back, name) == getattr(full, name)
    assert back.sha256 == full.sha256
    assert back.facts == full.facts | {"pack_sha256": back.pack_sha256}
    assert (rows.has_pictures, back.has_pictures) == (True, False)
    with pytest.raises(DatasetError, match=r"x\.safetensors is a pack"):
        _ = back.paths


def test_a_part_of_the_rows_is_served_in_its_own_order(world, scorer):
    whole, few = open_pack(world[2]).crops, open_dataset(str(world[2]), n_pictures=3)
    extractor = Extractor(scorer, "nowhere")
    assert list(extractor.crops(few).table["path"]) == list(few.table["path"])
    back = extractor.crops(replace(few, table=few.table[::-1]))
    assert list(back.table["path"]) == list(few.table["path"])[::-1]
    places = {path: i for i, path in enumerate(whole.table["path"])}
    for i in back.ok:
        assert torch.equal(back.features(i), whole.features(places[back.table["path"][i]]))
    unknown = few.table.assign(path=["x.png", *few.table["path"][1:]])
    with pytest.raises(StoreError, match=r"x\.png is not among the 6 pictures"):
        extractor.crops(replace(few, table=unknown))


def test_a_set_without_scores_is_packed_and_a_picture_in_several_rows_once(
    tmp_path, world, scorer, packed
):
    rows, store, _ = world
    table = rows.table.iloc[[0, 1, 0, 3, 4]].assign(mos=np.nan)
    silent = replace(rows, table=table, mos_range=(np.nan, np.nan), on_duplicate="keep")
    back = packed(Extractor(scorer, store).crops(silent))
    assert not back.manifest.labelled
    assert list(back.crops.table["path"]) == list(table["path"])
    assert torch.equal(back.crops.features(0), back.crops.features(2))
    assert len(load_file(tmp_path / "x.safetensors")["crops.offsets"]) == 1 + 4
    assert score_store(back.crops, back.anchors)["score"].notna().all()


def test_text_features_are_those_of_the_backbone(world, scorer, packed):
    pack, mine = open_pack(world[2]), (("a sharp photo", "a noisy photo"),)
    other = packed(pack.crops, prompts=[mine])
    for source, pairs in [(pack, MACLIP_PROMPTS), (pack, CLIP_IQA_PROMPTS), (other, mine)]:
        ours, theirs = scorer.text_anchors(pairs), source.text_anchors(pairs)
        assert torch.equal(theirs.features, ours.features)
        assert (theirs.logit_scale, theirs.pairs) == (ours.logit_scale, ours.pairs)
    assert pack.anchors.pairs == MACLIP_PROMPTS
    with pytest.raises(StoreError, match=r"no text features of 'a dog', only of 'Good image', "):
        pack.text_anchors([("Good image", "a dog")])
    with pytest.raises(StoreError, match=r"no text features of 'Good image'"):
        _ = other.anchors


def test_a_pack_made_otherwise_says_how(world, scorer, packed):
    rows, store, _ = world
    protocol = Protocol("own", resize=(256, 256), thumbnail=False)
    pack = packed(Extractor(scorer, store, preset="official").crops(rows, protocol))
    assert (pack.crops.config.protocol, pack.crops.config.preset) == (protocol, "official")
    found = study(Extractor(scorer, store), pack.manifest, statistics=FEW, clip_iqa=False)
    assert found.record["config"]["preset"] == "official"
    assert found.record["config"]["protocol"]["name"] == "own"


# What a pack refuses -------------------------------------------------------------------------


def test_features_of_others_or_made_otherwise_are_an_error_that_names_both(world, scorer, other):
    rows, _, path = world
    vit, placed = Maclip(VIT, device="cpu"), Maclip(RN, device="cpu", pos_embedding=True)
    pack, changed = open_pack(path), open_pack(rewritten(other, logit_scale="1.0"))
    packed, dense, official = open_dataset(str(path)), Protocol("dense", stride=64), "official"
    for whose, listed, preset, protocol, *said in (
        (scorer, packed, official, None, "preset is 'official' here and 'default' there"),
        (pack, packed, official, None, "preset is 'official' here and 'default' there"),
        (scorer, packed, None, dense, "protocol.stride is 64 here and 128 there"),
        (pack, packed, None, dense, "protocol.stride is 64 here and 128 there"),
        (placed, packed, None, None, "pos_embedding is True here and False there"),
        (pack, rows, None, None, "six.safetensors holds ", " sha256 is 'that of no pack'"),
        (
            changed,
            packed,
            None,
            None,
            "not those asked for, ",
            " for the rows of synthetic: sha256",
        ),
        (vit, packed, None, None, RN, VIT, scorer.backbone.sha256, vit.backbone.sha256),
    ):
        with pytest.raises(StoreError) as error:
            Extractor(whose, "nowhere", preset=preset).crops(listed, protocol)
        assert "six.safetensors" in str(error.value)
        assert all(part in str(error.value) for part in said)


def test_whole_pictures_that_all_were_too_large_keep_their_reason(world, packed):
    pack = open_pack(world[2])
    lost = pack.whole.table.assign(status="too_large", message="huge", n_crops=0, rows=0)
    back = packed(pack.crops, replace(pack.whole, table=lost))
    assert set(back.whole.table["message"]) == {"huge"}
    assert len(back.crops.ok) == 5


def test_what_makes_no_pack_is_refused_and_nothing_is_written(world, scorer, tmp_path):
    rows, store, path = world
    pack, target = open_pack(path), tmp_path / "x.safetensors"
    few = pack.whole.subset(open_dataset(str(path), n_pictures=3))
    broken = Extractor(scorer, store).crops(rows.subset(rows.table["path"] == "p2.png"))
    biased = Maclip(RN, device="cpu")
    biased.anchors = replace(biased.anchors, logit_bias=-3.0)
    for error, said, arguments in (
        (StoreError, "is not among the 3 pictures", (target, pack.crops, few, scorer)),
        (StoreError, "none of the 1 pictures", (target, broken, None, scorer)),
        (StoreError, scorer.backbone.sha256, (target, pack.crops, None, Maclip(VIT, device="cpu"))),
        (ValueError, r"\.safetensors, got 'x\.npz'", (tmp_path / "x.npz", broken, None, scorer)),
        (ValueError, "has a logit_bias, which a pack", (target, pack.crops, None, biased)),
    ):
        with pytest.raises(error, match=said):
            write_pack(*arguments)
        assert not list(tmp_path.iterdir())


def test_what_is_no_pack_or_no_whole_one_is_said(tmp_path, other):
    whole = other.read_bytes()
    for contents, said in (
        ([b"", b"\0" * 400, b"{}", b"\xff" * 64], "not a pack of features"),
        ([whole[:end] for end in (4, 100, len(whole) // 2, -1)], "(damaged|not a pack)"),
    ):
        for content in contents:
            other.write_bytes(content)
            for read in (open_pack, lambda path: open_dataset(str(path))):
                with pytest.raises(DatasetError, match=rf"six\.safetensors is {said}"):
                    read(other)
    other.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(DatasetError, match=r"six\.safetensors is damaged"):
        open_pack(other)
    with pytest.raises(DatasetError, match=r"rn\.safetensors is not a pack of features"):
        open_dataset(RN)
    with pytest.raises(DatasetError, match=r"y\.safetensors'; maclip-lab pack makes one"):
        open_dataset(str(tmp_path / "y.safetensors"))
    with pytest.raises(ValueError, match="leave out the root"):
        open_dataset(str(other), tmp_path)
    with pytest.raises(ValueError, match="known data sets"):
        open_dataset(str(other), variant="paper")


@pytest.mark.parametrize(
    ("key", "change", "said"),
    [
        ("maclip_pack", lambda _: "2", "is a pack of version 2, .* reads version 1"),
        ("manifest", lambda _: "{}", ""),
        ("manifest", lambda _: "nonsense", ""),
        ("texts", lambda _: "[]", ""),
        ("crops", lambda _: "{}", ""),
        ("crops", lambda text: text.replace("unsupported", "ok"), ".* do not fit their grids"),
        ("logit_scale", lambda _: "warm", ""),
        ("record", lambda _: "[", ""),
    ],
)
def test_a_sealed_file_of_another_version_or_of_nonsense_is_an_error_of_ours(
    other, key, change, said
):
    rewritten(other, **{key: change(read_seal(other, "a pack")[key])})
    with pytest.raises(DatasetError, match=rf"six\.safetensors {said}"):
        open_pack(other)


# The shipped ones ----------------------------------------------------------------------------


def test_a_backbone_without_a_shipped_pack_is_told_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(packs, "data_path", lambda *parts: tmp_path.joinpath(*parts))
    with pytest.raises(DatasetError, match="as RN50 sees it, only as nobody does"):
        packs.shipped_pack("clive-part", "RN50")
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "clive-part.tiny-rn.safetensors").touch()
    with pytest.raises(DatasetError, match="as RN50 sees it, only as tiny-rn does"):
        packs.shipped_pack("clive-part", "RN50")
    assert packs.shipped_pack("clive-part", "tiny-rn").is_file()


@pytest.mark.parametrize("backbone", ["tiny-rn", "tiny-vit"])
def test_severity_is_shipped_as_such_with_its_photographs(backbone):
    pack = open_pack(packs.shipped_pack(packs.SEVERITY, backbone))
    table = pack.manifest.table
    assert (pack.backbone, pack.whole is not None) == (backbone, True)
    assert pack.manifest.dataset in EDITIONS
    assert "no person judged" in pack.manifest.note
    assert table["ref_id"].value_counts().tolist() == [19] * 12
    assert len(pack.crops.ok) == len(table) == 228
