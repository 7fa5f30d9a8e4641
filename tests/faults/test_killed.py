"""Killed at any instant and run again, an extraction ends with the bits of one never killed.

Faults 1 and 2 of the list in README.md; kills of whole runs on a cluster are in
tests/scale/test_run.py.
"""

import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.conftest import GOLDEN
from tests.faults import victims
from tests.faults.conftest import PATIENCE, wait_for
from tests.store_world import ROOT, held, stored


def same(ours, theirs):
    assert (ours.table["status"] == "ok").all()
    for column in ("sha256", "n_crops"):
        assert ours.table[column].tolist() == theirs.table[column].tolist()
    assert torch.equal(ours.stack(), theirs.stack())


@pytest.mark.parametrize(
    "seeds", [range(5), pytest.param(range(1000, 1020), marks=pytest.mark.slow)]
)
def test_kills_at_random_instants_lose_nothing_that_was_acknowledged(
    seeds, start, rows, clean, tmp_path
):
    for seed in seeds:  # killed after some acknowledged pictures and a moment, then run again
        dice, store = random.Random(seed), tmp_path / str(seed)
        victim = start(victims.extract, rows, store)
        done = {victim.hear() for _ in range(dice.randrange(len(rows)))}
        time.sleep(dice.random() * 0.1)
        victim.process.kill()
        assert victim.end() in (-signal.SIGKILL, 0)
        kept = held(store)
        assert kept >= done, "an acknowledged picture is gone"
        redone = start(victims.extract, rows, store).finish()
        assert len(redone) == len(rows) - len(kept)
        assert not kept & set(redone), "a finished picture was extracted again"
        same(stored(rows, store), clean)
        assert not list(store.glob("*/pictures/*.safetensors"))
        assert not list(store.rglob("*.corrupt"))


def test_a_store_killed_again_and_again_still_gets_done(start, rows, clean, tmp_path):
    dice, config = random.Random(7), None
    while config is None:
        victim = start(victims.extract, rows, tmp_path)
        wait_for(lambda victim=victim: victim.line.poll())
        time.sleep(dice.random() * 0.05)
        victim.process.kill()
        victim.end()
        while (said := victim.hear()) is not None:
            config = None if isinstance(said, str) else said
    same(stored(rows, tmp_path), clean)


@pytest.mark.parametrize(
    ("where", "call"),
    [  # one file describes the store, ten are pictures, then the pack and its record, and a memo
        *(("fsync", call) for call in (1, 2, 3, 6)),
        *(("replace", call) for call in (1, 2, 6, 12, 13, 14)),
        *(("unlink", call) for call in (2, 14, 16, 20)),
    ],
)
def test_a_kill_between_any_two_steps_of_a_write_leaves_no_half_file(
    where, call, start, rows, clean, tmp_path
):
    victim = start(victims.extract_until, rows, tmp_path, where, call)
    assert victim.end() == -signal.SIGKILL
    start(victims.extract, rows, tmp_path).finish()
    same(stored(rows, tmp_path), clean)
    start(victims.extract, rows, tmp_path).finish()
    assert not list(tmp_path.glob("*/pictures/*.safetensors"))


def test_ctrl_c_stops_at_once_says_how_to_go_on_and_leaves_a_state_for_it(
    start, rows, clean, tmp_path
):
    lists, store = tmp_path / "list.csv", tmp_path / "store"
    rows.table[["path", "mos"]].to_csv(lists, index=False)
    command = [sys.executable, "-c", SLOWLY, "features", "mine", f"--annotations={lists}"]
    command += [f"--root={rows.root}", f"--store={store}", "-q", "--device=cpu"]
    command += ["-b", str(GOLDEN / "vit.safetensors")]
    interruptible = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, **interruptible
    ) as child:
        wait_for(lambda: child.poll() is not None or held(store))
        done = held(store)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130, said
    assert "what was written stays, the same command goes on" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.tmp"))
    kept = held(store)
    assert done <= kept
    assert len(start(victims.extract, rows, store).finish()) == len(rows) - len(kept) > 0
    same(stored(rows, store), clean)


SLOWLY = """
import sys, time
from maclip_lab import cli
from maclip_lab.features import extractor
encode = extractor._encode
def slowly(*arguments):
    time.sleep(1)
    return encode(*arguments)
extractor._encode = slowly
cli.main()
"""
