"""A release refuses what is undated or uncommitted, and knows what its archives must hold."""

import subprocess
import zipfile

import pytest

from tests.conftest import script
from tests.notebooks.reading import LESSONS, ROOT, SOLUTIONS

release = script(ROOT / "docs" / "release.py")
FILES = {
    "pyproject.toml": '[project]\nversion = "1.2.0"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n- All.\n",
    "CITATION.cff": 'cff-version: 1.2.0\nversion: 1.2.0\ndate-released: "2026-12-01"\n',
}


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
def test_a_version_that_is_not_dated_everywhere_is_refused(tmp_path, file, old, new, said):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert release.version(tmp_path) == "1.2.0"
    (tmp_path / file).write_text(FILES[file].replace(old, new), encoding="utf-8")
    with pytest.raises(SystemExit, match=said):
        release.version(tmp_path)


def test_what_is_not_committed_is_not_released(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    release.refuse_uncommitted(tmp_path)
    (tmp_path / "new.txt").touch()
    with pytest.raises(SystemExit, match="commit first"):
        release.refuse_uncommitted(tmp_path)


@pytest.mark.parametrize("kind", ["wheel", "sdist", "notebooks", "site"])
def test_an_archive_that_lacks_a_file_or_holds_litter_is_refused(kind):
    whole = [f"top/{name}" for name in release.WANTED[kind]]
    assert release.faults(kind, whole) == []
    for index, name in enumerate(release.WANTED[kind]):
        assert release.faults(kind, whole[:index] + whole[index + 1 :]) == [f"lacks {name}"]
    assert release.faults(kind, [*whole, "top/.venv/x"]) == ["holds top/.venv/x"]


def test_the_notebooks_archive_holds_every_lesson_with_its_solution(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    path = tmp_path / "notebooks.zip"
    command = ["git", "archive", "--prefix=n/", f"--output={path}", "HEAD", *release.NOTEBOOKS]
    subprocess.run(command, cwd=ROOT, check=True)
    with zipfile.ZipFile(path) as archive:
        held = archive.namelist()
    assert release.faults("notebooks", held) == []
    assert {f"n/{path.relative_to(ROOT).as_posix()}" for path in LESSONS + SOLUTIONS} <= set(held)
