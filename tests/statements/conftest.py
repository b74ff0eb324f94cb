"""What the checks of the book's statements share."""

import os
from collections.abc import Callable

import pytest

# POT imports every array library it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")


@pytest.fixture
def record_property(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """pytest's own fixture for numbers of any type: parallel runs can pass on plain ones only."""
    return lambda name, value: record_property(name, float(value))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let ``-k thm-label`` choose the checks of a statement."""
    for item in items:
        for mark in item.iter_markers("statement"):
            item.extra_keyword_matches.add(mark.args[0])
