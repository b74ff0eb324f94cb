"""Settings for every test: no windows, no start-up notes, compiled code shared and given back."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TQDM_DISABLE", "1")
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # as under `make`, and for its reason
    os.environ.setdefault(_threads, "1")
# What one worker compiled, the others and the next run find here, as under `make`.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "_build" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
#: Compiling is most of what small models and short fits cost, and JAX does it in half the time
#: without optimisation, and a fifth less than that where a function's code is one piece and not
#: cut for threads. It slows fits of thousands of steps: `test_acceptance.py` takes this back.
UNOPTIMISED = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1"
)
os.environ.setdefault("XLA_FLAGS", UNOPTIMISED)

#: Of the 65,530 pieces of memory that Linux lets a process map. The hungriest file maps 20,000.
MAPPINGS = 30_000


@pytest.fixture(autouse=True, scope="module")
def _compiled_code_is_dropped():
    """Forget what JAX compiled once a process has mapped much memory for it.

    Each compiled function maps some: after a few thousand functions XLA crashes while it
    compiles the next one.
    """
    yield
    if "jax" in sys.modules and _mappings() > MAPPINGS:
        sys.modules["jax"].clear_caches()


def _mappings() -> int:
    try:
        with open("/proc/self/maps", "rb") as maps:
            return sum(1 for _ in maps)
    except FileNotFoundError:  # elsewhere than on Linux, where that limit is Linux's
        return 0
