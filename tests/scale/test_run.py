import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from unittest.mock import Mock
from urllib.request import urlopen

import pandas as pd
import psutil
import pytest

from maclip_lab import Maclip, score_folder
from maclip_lab.crops import Protocol
from maclip_lab.errors import IntegrityError
from maclip_lab.files import identity
from maclip_lab.files.atomic import StorageFullError
from maclip_lab.files.identity import content_sha256
from maclip_lab.fusion import FusionSettings
from maclip_lab.scale import parts
from maclip_lab.scale.parts import divide, read_part, score_part
from maclip_lab.scale.run import (
    LARGEST_PART,
    PARTS,
    SMALLEST_PART,
    ScaleError,
    _on_dask,
    dask_client,
    part_size_for,
    score_many,
)
from maclip_lab.scorer import ScoreConfig
from tests.conftest import posix
from tests.store_world import RN, picture, pictures

CONFIG = ScoreConfig(RN, device="cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Seven pictures of several sizes and two that are none."""
    folder = tmp_path_factory.mktemp("scale")
    names = [*pictures(folder, 7), "text.jpg", "gone.png"]
    (folder / "text.jpg").write_text("no picture")
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def single(paths, tmp_path_factory):
    """The run of a single process."""
    return score_many(paths, CONFIG, tmp_path_factory.mktemp("parts"), part_size=3)


def equal(ours, theirs):
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_the_table_is_that_of_score_folder_and_run_again_everything_is_there(single, paths):
    table = single.table()
    assert not any(part.error for part in single.parts)
    folder = score_folder(paths, Maclip(RN, device="cpu"))
    pd.testing.assert_frame_equal(table, folder, rtol=1e-6, check_dtype=False)
    assert table.attrs["weights_sha256"] == single.config.weights_sha256
    assert len(table.attrs["weights_sha256"]) == 64
    parts = single.parts[0].path.parent
    before = {path: path.stat().st_mtime_ns for path in parts.iterdir()}
    again = score_many(paths, CONFIG, parts, part_size=3)
    assert all(part.resumed for part in again.parts)
    assert {path: path.stat().st_mtime_ns for path in parts.iterdir()} == before
    equal(again.table(), table)


def test_a_parts_hashes_are_of_the_bytes_that_were_scored(tmp_path, monkeypatch):
    (name,) = pictures(tmp_path, 1)
    scored, score_row = content_sha256(tmp_path / name), parts.score_row

    def replaced(path, result):
        picture(tmp_path / name, 99)
        return score_row(path, result)

    monkeypatch.setattr(parts, "score_row", replaced)
    (part,) = divide([tmp_path / name], 1)
    done = score_part(part, CONFIG.pinned(), tmp_path)
    assert read_part(done.path)["sha256"].tolist() == [scored]
    assert scored != content_sha256(tmp_path / name)


def test_no_bit_of_a_part_can_flip_unseen(single, tmp_path):
    whole = single.parts[0].path.read_bytes()
    path = tmp_path / single.parts[0].path.name
    dice = random.Random(0)
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(IntegrityError):
            read_part(path)
    path.write_bytes(whole)
    equal(read_part(path), read_part(single.parts[0].path))
    path.rename(tmp_path / "000000-0123456789abcdef.parquet")
    with pytest.raises(IntegrityError, match="not the one in its name"):
        read_part(tmp_path / "000000-0123456789abcdef.parquet")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_part(path)


def test_a_parts_name_follows_its_pictures_and_everything_its_numbers_depend_on(tmp_path):
    names = pictures(tmp_path, 2)
    (part,) = divide([tmp_path / name for name in names], 2)
    changes = {
        "settings": FusionSettings(alpha=2), "weights_sha256": "ab", "prompts": "clip-iqa",
        "precision": "bf16", "preset": "official", "pos_embedding": True,
    }  # fmt: skip
    others = [replace(CONFIG, **{name: value}) for name, value in changes.items()]
    others += [replace(CONFIG, dataset=cut) for cut in ("SPAQ", Protocol(stride=64))]
    keys = {part.key(config) for config in [CONFIG, *others]}
    assert len(keys) == len(others) + 1
    assert part.key(replace(CONFIG, weights_dir="x", offline=True)) in keys
    picture(tmp_path / names[0], 77)
    assert part.key(CONFIG) not in keys


def test_a_parts_name_tells_the_kind_of_device_and_not_how_it_was_asked_for(tmp_path, monkeypatch):
    (part,) = divide([tmp_path / "p.png"], 1)

    def keys(*asked, auto):
        choose = {"auto": auto}
        monkeypatch.setattr(parts, "choose_device", lambda device: choose.get(device, device))
        return {part.key(replace(CONFIG, device=device)) for device in asked}

    on_cards = keys("auto", "cuda", "cuda:0", "cuda:1", auto="cuda")
    on_processors = keys("auto", "cpu", auto="cpu")
    assert (len(on_cards), len(on_processors)) == (1, 1)
    assert on_cards != on_processors


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_an_edited_picture_is_scored_again_though_its_size_and_time_are_the_same(
    tmp_path, monkeypatch, system
):
    monkeypatch.setattr(identity, "_SYSTEM", system)
    both, runs = [tmp_path / "p.bmp", tmp_path / "q.bmp"], []
    for path in both:
        picture(path, 0)
    for seed in (0, 77):
        picture(both[1], seed)
        os.utime(both[1], ns=(10**18, 10**18))
        runs.append(score_many(both, CONFIG, tmp_path / "parts", part_size=1))
    before, after = (run.table()["score"] for run in runs)
    assert [part.resumed for part in runs[1].parts] == [True, False]
    assert (after == before).tolist() == [True, False]


def test_workers_that_cannot_be_started_are_tried_once(monkeypatch):
    frail = Mock(side_effect=RuntimeError("Nanny failed to start."))
    monkeypatch.setattr("distributed.LocalCluster", frail)
    with (
        pytest.raises(ScaleError, match=r"no workers can be started .*: Nanny failed to start\."),
        dask_client(2),
    ):
        pass
    assert [call.kwargs["n_workers"] for call in frail.call_args_list] == [2]


def test_a_part_that_raises_or_is_damaged_is_done_again_and_the_others_are_kept(
    paths, single, tmp_path, monkeypatch
):
    def fragile(part, config, folder, workers):
        if part.number == 1:
            raise RuntimeError("the network drive went away")
        return score_part(part, config, folder, workers)

    monkeypatch.setattr("maclip_lab.scale.run.score_part", fragile)
    run = score_many(paths, CONFIG, tmp_path, part_size=3)
    assert [part.number for part in run.parts if part.error] == [1]
    table = run.table()
    assert table["status"].tolist()[3:6] == ["failed"] * 3
    assert table["score"][3:6].isna().all()
    assert table["message"][4] == "RuntimeError: the network drive went away"
    assert table["path"].tolist() == single.table()["path"].tolist()
    monkeypatch.undo()
    again = score_many(paths, CONFIG, tmp_path, part_size=3)
    assert [part.resumed for part in again.parts] == [True, False, True]
    equal(again.table(), single.table())
    path = again.parts[0].path
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(IntegrityError):
        read_part(path)
    again = score_many(paths, CONFIG, tmp_path, part_size=3)
    assert [part.resumed for part in again.parts] == [False, True, True]
    assert path.with_name(path.name + ".corrupt").exists()
    equal(again.table(), single.table())


def test_a_full_disk_ends_the_run_and_says_so(paths, tmp_path, monkeypatch):
    full = Mock(side_effect=StorageFullError(28, "no room", "x"))
    monkeypatch.setattr(parts, "write_bytes", full)
    with pytest.raises(StorageFullError, match="no room"):
        score_many(paths, CONFIG, tmp_path)


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"pictures": []}, ValueError, "at least one picture"),
        ({"workers": 0}, ValueError, "workers is at least 1, got 0"),
        ({"part_size": 0}, ValueError, "part_size is a number of pictures, got 0"),
        ({"config": replace(CONFIG, weights_sha256="ab" * 32)}, IntegrityError, "not the abab"),
        pytest.param(
            {"cluster": "tcp://127.0.0.1:9"},
            *(ScaleError, r"answers at tcp://127\.0\.0\.1:9"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_be_is_an_error_at_the_edge(paths, tmp_path, asked, error, said):
    with pytest.raises(error, match=said):
        score_many(**{"pictures": paths, "config": CONFIG, "folder": tmp_path, **asked})


def test_the_size_of_a_part_follows_the_number_of_pictures_alone(paths, tmp_path):
    assert len(score_many(paths, CONFIG, tmp_path).parts) == 2  # of nine pictures, 8 and 1
    sizes = [part_size_for(10**power) for power in range(9)]
    assert sizes == sorted(sizes)
    assert sizes[0] == SMALLEST_PART
    assert sizes[-1] == LARGEST_PART
    assert all(10**power / size <= PARTS for power, size in enumerate(sizes[:7]))


def test_parts_wait_for_workers_that_come_later_and_more_of_them_than_a_few(tmp_path):
    from distributed import Client, LocalCluster

    config = CONFIG.pinned()
    parts = list(divide([tmp_path / f"{i}.png" for i in range(99)], 1))
    offered = iter(parts)
    with (
        LocalCluster(0, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        outcomes = _on_dask(client, offered, config, tmp_path)
        started = threading.Timer(0.5, cluster.scale, [1])
        started.start()
        outcome = next(outcomes)
        assert len(parts) - len(list(offered)) == 64  # all that a growing cluster can see
        assert read_part(outcome.path)["status"].tolist() == ["missing"]
        assert len(list(outcomes)) == 63
    started.join()


def kill_workers(times, folder, killed):
    """Kill a worker each time another part has been committed, as a kernel out of memory would."""
    deadline = time.monotonic() + 120
    while len(killed) < times and time.monotonic() < deadline:
        time.sleep(0.02)
        if len(list(folder.glob("*.parquet"))) > len(killed):
            workers = [child for child in psutil.Process().children(recursive=True) if busy(child)]
            if workers:
                os.kill(workers[len(killed) % len(workers)].pid, signal.SIGKILL)
                killed.append(workers)


def busy(child):
    try:
        return "--multiprocessing-fork" in child.cmdline() and child.cpu_times().user > 1
    except psutil.Error:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kills", [0, 2])
@posix
def test_a_local_cluster_gives_the_same_table_though_workers_are_killed(
    paths, single, tmp_path, kills
):
    killed = []
    killer = threading.Thread(target=kill_workers, args=(kills, tmp_path, killed))
    killer.start()
    run = score_many(paths, CONFIG, tmp_path, part_size=1, workers=2)
    killer.join()
    assert len(killed) == kills
    assert not any(part.error for part in run.parts)
    equal(run.table(), single.table())


def test_a_cluster_is_used_by_its_address_and_resumes_what_another_executor_did(
    paths, single, tmp_path, cluster, capsys
):
    score_many(paths[:3], CONFIG, tmp_path, part_size=3)
    assert {*cluster.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_").values()} == {None}
    there = {"cluster": cluster.scheduler.address, "progress": True}
    run = score_many(paths, CONFIG, tmp_path, part_size=3, **there)
    address = cluster.dashboard_link
    assert address.startswith("http://127.0.0.1")
    assert f"Dask dashboard: {address}\n" in capsys.readouterr().err
    with urlopen(address) as page:
        assert find_spec("bokeh") is None or b"Dask Diagnostic UI" in page.read()
    assert [part.resumed for part in run.parts] == [True, False, False]
    equal(run.table(), single.table())


def test_a_cluster_that_goes_away_is_an_error_that_says_how_to_go_on(paths, tmp_path, monkeypatch):
    gone = Mock(nthreads=dict, submit=Mock(side_effect=RuntimeError("client is closed")))
    monkeypatch.setattr("maclip_lab.scale.run.dask_client", lambda *_: nullcontext(gone))
    with pytest.raises(ScaleError, match=r"the cluster was lost \(client is closed\); finished"):
        score_many(paths, CONFIG, tmp_path, cluster="tcp://127.0.0.1:9")


# The caller's script -------------------------------------------------------------------------

SCRIPT = """
from maclip_lab.scale.run import dask_client
{guard}
with dask_client(1):
    pass
"""


@pytest.mark.parametrize(
    ("guard", "said"),
    [("", "ScaleError: workers run "), ("'no __main__ guard'", "ScaleError: no workers can")],
)
def test_a_script_without_a_main_guard_ends_in_one_sentence_that_names_it(guard, said, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard))
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.count("script.py again when they start") == 1
    assert last.endswith("under if __name__ == '__main__':")
