"""Fixtures of the data set tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def native() -> Path:
    """The publishers' score files beside the checkout; the test skips where they are absent."""
    folder = Path(__file__).parents[3] / "shared" / "native_annotations"
    if not folder.is_dir():
        pytest.skip("needs the publishers' files in ../shared/native_annotations, absent here")
    return folder
