"""Fixtures of the data set tests."""

import pytest


@pytest.fixture
def native(shared):
    """The folder of the publishers' score files."""
    return shared / "native_annotations"
