"""The SLURM script of SCALING.md, run as it stands; two small programs play SLURM."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from maclip_lab.scale.run import score_many
from maclip_lab.scorer import ScoreConfig
from tests.conftest import posix
from tests.store_world import RN, ROOT, pictures

PROGRAMS = {
    "sbatch": """#!/usr/bin/env bash
cp "$1" $JOBS/job$$
setsid bash $JOBS/job$$ </dev/null >$JOBS/log$$ 2>&1 &
echo $! >>$JOBS/numbers
echo "Submitted batch job $!"
""",
    "scancel": """#!/usr/bin/env bash
for job in "$@"; do kill -- -$job 2>/dev/null; done
true
""",
}


@pytest.fixture
def page():
    """The page's script and the job that it says SLURM will get."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "SCALING.md").read_text(), re.S)
    script = next(text for kind, text in blocks if kind == "python" and "SLURMCluster" in text)
    job = next(text for kind, text in blocks if kind == "bash" and "#SBATCH" in text)
    return script, job


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder of submitted jobs; what submits them and calls them off is found first."""
    pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue, of the scale extra")
    (tmp_path / "bin").mkdir()
    (tmp_path / "jobs").mkdir()
    monkeypatch.setenv("JOBS", str(tmp_path / "jobs"))
    for name, program in PROGRAMS.items():
        (tmp_path / "bin" / name).write_text(program)
        (tmp_path / "bin" / name).chmod(0o755)
    places = [tmp_path / "bin", Path(sys.executable).parent, os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, places)))
    return tmp_path / "jobs"


@posix
def test_the_script_prints_the_job_on_the_page_and_hands_on_its_arguments(page, slurm, tmp_path):
    script, job = page
    (tmp_path / "score_on_slurm.py").write_text(script.replace("_jobs=40", "_jobs=0"))
    program = tmp_path / "bin" / "maclip-lab"
    program.write_text('#!/usr/bin/env bash\necho "called: $@" >&2\nexit 7\n')
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "score_on_slurm.py", "pictures", "-o", "s.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert re.search(
        r"called: score pictures -o s\.csv --cluster tcp://\S+:\d+$", done.stderr, re.M
    )
    asked = re.sub(r"^/\S+python\S*", "/path/to/python", done.stdout, flags=re.M)
    asked = re.sub(r"tcp://\S+", "tcp://192.0.2.1:41234", asked)
    assert "\n".join(filter(None, asked.splitlines())) == job.strip()


@pytest.mark.slow
@posix
def test_the_run_survives_the_end_of_its_only_job(page, slurm, tmp_path):
    script, _ = page
    assert script.count("_jobs=40") == 2
    (tmp_path / "score_on_slurm.py").write_text(script.replace("_jobs=40", "_jobs=1"))
    (tmp_path / "pictures").mkdir()
    names = pictures(tmp_path / "pictures", 6)
    arguments = ["pictures", "-b", RN, "-o", "scores.csv", "--part-size", "1", "--device", "cpu"]
    run = subprocess.Popen(
        [sys.executable, "score_on_slurm.py", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while run.poll() is None and not list(tmp_path.glob("scores.parts/*.parquet")):
        time.sleep(0.02)
    os.killpg(int((slurm / "numbers").read_text()), signal.SIGKILL)
    _, errors = run.communicate(timeout=300)
    logs = "".join(path.read_text() for path in slurm.glob("log*"))
    assert run.returncode == 0, errors + logs
    assert "Dask dashboard: http://" in errors
    assert len(list(slurm.glob("job*"))) >= 2
    table = pd.read_csv(tmp_path / "scores.csv")
    paths = [tmp_path / "pictures" / name for name in names]
    alone = score_many(paths, ScoreConfig(RN, device="cpu"), tmp_path / "alone", part_size=6)
    assert table["score"].tolist() == alone.table()["score"].tolist()
    assert (table["status"] == "ok").all()
