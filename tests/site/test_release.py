"""A release refuses what is undated or uncommitted, and knows what its archives must hold."""

import importlib.util
import subprocess
import zipfile

import pytest

from tests.notebooks.reading import LESSONS, ROOT

CHANGES = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n- All.\n"
CITATION = 'cff-version: 1.2.0\nversion: 1.2.0\ndate-released: "2026-12-01"\n'


@pytest.fixture(scope="module")
def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "docs" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """The files in which a version stands, of one that can be released."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    (tmp_path / "CITATION.cff").write_text(CITATION, encoding="utf-8")
    return tmp_path


def test_the_version_is_taken_from_one_place(release, project):
    assert release.version(project) == "1.2.0"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("CHANGELOG.md", "## [1.2.0] - 2026-12-01", "", "no dated entry for version 1.2.0"),
        ("CHANGELOG.md", " - 2026-12-01", "", "no dated entry for version 1.2.0"),
        ("pyproject.toml", "1.2.0", "1.20", "no dated entry for version 1.20"),
        ("CITATION.cff", "2026-12-01", "2026-11-30", "does not say 'date-released"),
        ("CITATION.cff", "\nversion: 1.2.0", "\nversion: 1.1.0", "does not say 'version"),
    ],
)
def test_a_version_that_is_not_dated_everywhere_is_refused(release, project, file, old, new, said):
    text = (project / file).read_text(encoding="utf-8")
    assert old in text
    (project / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SystemExit, match=said):
        release.version(project)


def test_what_is_not_committed_is_not_released(release, project):
    subprocess.run(["git", "init", "-q", project], check=True)
    with pytest.raises(SystemExit, match="commit first"):
        release.refuse_uncommitted(project)


@pytest.mark.parametrize("kind", ["wheel", "sdist", "notebooks", "site"])
def test_an_archive_that_lacks_a_file_or_holds_litter_is_refused(release, kind):
    whole = [f"top/{name}" for name in release.WANTED[kind]]
    assert release.faults(kind, whole) == []
    for index, name in enumerate(release.WANTED[kind]):
        assert release.faults(kind, whole[:index] + whole[index + 1 :]) == [f"lacks {name}"]
    assert release.faults(kind, [*whole, "top/.venv/x"]) == ["holds top/.venv/x"]


def test_the_notebooks_archive_holds_every_lesson_with_its_solution(release, tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    path = tmp_path / "notebooks.zip"
    command = ["git", "archive", "--prefix=n/", f"--output={path}", "HEAD", *release.NOTEBOOKS]
    subprocess.run(command, cwd=ROOT, check=True)
    with zipfile.ZipFile(path) as archive:
        held = archive.namelist()
    assert release.faults("notebooks", held) == []
    for lesson in LESSONS:
        assert f"n/notebooks/{lesson.name}" in held
    solutions = list((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
    assert {f"n/notebooks/solutions/{path.name}" for path in solutions} <= set(held)
