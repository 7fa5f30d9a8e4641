import pytest

from maclip_lab.evaluation import fits


@pytest.fixture(autouse=True)
def _no_fit_of_another_test():
    yield
    fits._best_shape.cache_clear()
