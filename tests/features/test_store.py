import hashlib
import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from maclip_lab.crops import NATIVE, Protocol
from maclip_lab.features.shards import Extracted, PictureRecord, verify_shard
from maclip_lab.features.store import (
    FeatureStore,
    StoreConfig,
    StoreError,
    StoreWarning,
    differences,
    stored_configs,
)
from maclip_lab.files.sealed import SealError, map_tensors
from tests.conftest import posix
from tests.store_world import python

CONFIG = StoreConfig("ab" * 32, "fp32", "official", NATIVE)


def extracted(name, crops=3, seed=0):
    rng = np.random.default_rng(seed)
    record = PictureRecord(
        name, hashlib.sha256(f"{name}{seed}".encode()).hexdigest(), 10, 11, 12, flags=("grey",)
    )
    features = rng.standard_normal((crops, 8)).astype(np.float32)
    return Extracted(record, features, (1, crops - 1), (224, 352))


def filled(root, n=3, config=CONFIG):
    store = FeatureStore(root, config)
    for number in range(n):
        pictures = [extracted(f"{number}-{i}.png", 2 + i, seed=number) for i in range(3)]
        store.append(number, pictures, {"backbone": "test"})
    return store


def test_a_shard_gives_back_what_was_put_in(tmp_path):
    store = filled(tmp_path)
    pictures = [extracted(f"1-{i}.png", 2 + i, seed=1) for i in range(3)]
    row = store.index[store.index["path"] == "1-2.png"].iloc[0]
    arrays = store.arrays(row["shard"])
    start, stop = arrays["offsets"][row["row"] : row["row"] + 2]
    np.testing.assert_array_equal(arrays["feats"][start:stop], pictures[2].features)
    assert arrays["grid"][row["row"]].tolist() == [1, 3]
    assert arrays["sizes"][row["row"]].tolist() == [224, 352]
    header = verify_shard(store.shards / row["shard"])
    assert header.records == tuple(picture.record for picture in pictures)
    assert header.facts == {"backbone": "test"}
    assert isinstance(arrays["feats"].base, np.ndarray)


def test_no_bit_of_a_shard_can_flip_unseen(tmp_path):
    store = filled(tmp_path, n=1)
    path = next(store.shards.iterdir())
    whole = path.read_bytes()
    dice = random.Random(0)
    for position in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(SealError):
            verify_shard(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 400, b"{}", b"\x02" + b"\0" * 7 + b"[]"])
def test_what_is_no_shard_is_an_error_of_ours(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(SealError, match=r"x\.safetensors"):
        verify_shard(tmp_path / "x.safetensors")


def test_a_damaged_shard_is_set_aside_aloud_and_the_rest_is_served(tmp_path):
    store = filled(tmp_path)
    path = sorted(store.shards.iterdir())[1]
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.warns(StoreWarning, match=r"damaged.*set aside"):
        again = FeatureStore(tmp_path, CONFIG)
    assert len(again.index) == 6
    assert path.with_name(path.name + ".corrupt").exists()
    assert not path.exists()


def test_verify_finds_damage_that_left_no_trace_in_the_times(tmp_path):
    store = filled(tmp_path)
    path = sorted(store.shards.iterdir())[0]
    assert store.verify() == []
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.warns(StoreWarning, match="damaged"):
        assert store.verify() == [path]
    assert len(store.index) == 6


def test_a_lost_or_damaged_index_is_rebuilt_from_the_shards(tmp_path):
    store = filled(tmp_path)
    path = store.folder / "index.parquet"
    before = store.index
    for content in (None, b"", b"PAR1 nonsense PAR1", path.read_bytes()[:-20]):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        healed = FeatureStore(tmp_path, CONFIG)
        assert healed.index.equals(before)
        assert pq.read_table(path).num_rows == len(before)


def test_flips_in_the_index_never_change_what_is_served(tmp_path):
    store = filled(tmp_path)
    path = store.folder / "index.parquet"
    whole, before = path.read_bytes(), store.index
    dice = random.Random(1)
    for _ in range(25):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(whole) // 2)] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        assert FeatureStore(tmp_path, CONFIG).index.equals(before)


@posix
def test_a_kill_between_shard_and_index_loses_nothing(tmp_path):
    filled(tmp_path, n=1)
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, ".")
from tests.features.test_store import CONFIG, extracted
from maclip_lab.features.store import FeatureStore
store = FeatureStore(Path(sys.argv[1]), CONFIG)
store._replace_index = lambda tables: os.kill(os.getpid(), signal.SIGKILL)
store.append(1, [extracted("late.png")], {})
"""
    child = python(code, tmp_path)
    child.communicate()
    assert child.returncode == -9
    store = FeatureStore(tmp_path, CONFIG)
    assert "late.png" in set(store.index["path"])
    assert len(store.index) == 4


def test_two_stores_open_on_one_folder_see_each_others_shards(tmp_path):
    one, two = FeatureStore(tmp_path, CONFIG), FeatureStore(tmp_path, CONFIG)
    one.append(0, [extracted("a.png")], {})
    two.append(0, [extracted("b.png")], {})
    for store in (one, two, FeatureStore(tmp_path, CONFIG)):
        store.refresh()
        assert sorted(store.index["path"]) == ["a.png", "b.png"]
    assert not two.refresh()


def test_a_shard_of_another_configuration_is_never_taken_in(tmp_path):
    other = StoreConfig("cd" * 32, "fp32", "official", NATIVE)
    store, foreign = filled(tmp_path, 1), filled(tmp_path, 1, other)
    stranger = next(foreign.shards.iterdir())
    (store.shards / stranger.name).write_bytes(stranger.read_bytes())
    with pytest.warns(StoreWarning, match="another configuration"):
        again = FeatureStore(tmp_path, CONFIG)
    assert len(again.index) == 3


def test_every_field_of_the_configuration_is_in_its_hash():
    others = [
        StoreConfig("cd" * 32, "fp32", "official", NATIVE),
        StoreConfig("ab" * 32, "bf16", "official", NATIVE),
        StoreConfig("ab" * 32, "fp32", "default", NATIVE),
        StoreConfig("ab" * 32, "fp32", "official", Protocol(stride=64)),
        StoreConfig("ab" * 32, "fp32", "official", NATIVE, pos_embedding=True),
        StoreConfig("ab" * 32, "fp32", "official", NATIVE, dtype="fp16"),
        StoreConfig("ab" * 32, "fp32", "official", NATIVE, quick_gelu=False),
    ]
    assert len({config.sha256 for config in [CONFIG, *others]}) == len(others) + 1
    for other in others:
        assert len(differences(CONFIG.fields, other.fields)) == 1
    assert CONFIG.sha256 == StoreConfig("ab" * 32, "fp32", "official", NATIVE).sha256


def test_a_stores_configurations_can_be_listed(tmp_path):
    store = filled(tmp_path, 1)
    assert stored_configs(tmp_path) == [store.config.fields | {"protocol.resize": None}]
    (store.folder / "config.json").write_text("nonsense")
    assert stored_configs(tmp_path) == []
    FeatureStore(tmp_path, CONFIG)
    assert len(stored_configs(tmp_path)) == 1


@pytest.mark.parametrize(("field", "value"), [("dtype", "fp64"), ("preset", "odd")])
def test_a_configuration_names_what_it_cannot_be(field, value):
    with pytest.raises(ValueError, match=f"{field} is .*{value}"):
        StoreConfig(**{**vars(CONFIG), field: value})


def test_a_folder_that_cannot_hold_a_store_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"no store can be kept in .*file .*another store folder"):
        FeatureStore(tmp_path / "file", CONFIG)


def test_mapped_tensors_can_be_changed_without_changing_the_file(tmp_path):
    store = filled(tmp_path, 1)
    path = next(store.shards.iterdir())
    arrays = map_tensors(path)
    arrays["feats"][:] = 0
    verify_shard(path)
