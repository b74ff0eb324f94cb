"""Settings for every test: no windows, no start-up notes, and memory given back between files."""

import os
import sys

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")


@pytest.fixture(autouse=True, scope="module")
def _compiled_code_is_dropped():
    """Forget what JAX compiled for a file of tests.

    Each compiled function maps memory, of which a process may have some 65,000 pieces: after a
    few thousand functions XLA crashes while it compiles the next one.
    """
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
