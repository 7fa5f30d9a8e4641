"""What a room of students is set up from: the image of a seat, and the wheels."""

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE = (ROOT / "course" / "Dockerfile").read_text(encoding="utf-8")
STEPS = [line.split(maxsplit=1) for line in IMAGE.splitlines() if re.match("[A-Z]+ ", line)]


def steps(name):
    return [what for step, what in STEPS if step == name]


def test_every_file_that_the_image_copies_is_there_and_none_is_kept_from_it():
    ignored = (ROOT / "course" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    words = [[part for part in step.split() if not part.startswith("--")] for step in steps("COPY")]
    *sources, students = (source for *sources, _ in words for source in sources)
    assert len(sources) > 7
    subprocess.run(["git", "ls-files", "--error-unmatch", *sources], cwd=ROOT, check=True)
    assert students == "build/course/student"  # which is made, by `make course`
    assert {*sources, students} == admitted


def test_the_image_copies_what_the_wheel_is_built_from():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    needed = {PROJECT["readme"], *PROJECT["license-files"]}
    needed |= set(build["build"]["targets"]["wheel"]["only-include"])
    before = IMAGE.partition("RUN pip")[0]
    assert all(re.search(rf"^COPY .*\b{re.escape(path)}", before, re.MULTILINE) for path in needed)


def test_the_image_installs_extras_that_exist_at_the_constraints():
    (command,) = (step for step in steps("RUN") if step.startswith("pip install"))
    assert "--constraint constraints.txt" in command
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', command)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert '"jupyterhub==$JUPYTERHUB"' in command


def test_a_student_is_not_root_and_starts_a_seat_of_the_hub():
    assert steps("USER")[-1] not in ("root", "0")
    assert steps("CMD") == ['["jupyterhub-singleuser"]']
    version = re.fullmatch(r"python:(3\.\d+)-slim", steps("FROM")[0])[1]
    assert f"{version}.0" in SpecifierSet(PROJECT["requires-python"])


def test_wheels_are_collected_at_the_constraints_and_tried_without_an_index():
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nwheelhouse:")[2]
    recipe = recipe.partition("\n\n")[0]
    assert "pip wheel" in recipe
    assert "--constraint constraints.txt" in recipe
    assert re.search(r"install .*--no-index[^\n]*\n[^\n]*--find-links \$\(WHEELS\)", recipe)
    assert "maclip-lab demo" in recipe
