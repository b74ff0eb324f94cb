"""What the figures were measured on, and how fast it multiplies float32 matrices."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "LIBRARIES",
    "Shape",
    "available_libraries",
    "describe",
    "matmul_rate",
    "own_shapes",
    "peak_memory",
    "versions",
]

Shape = tuple[int, int, int]
"""Matrices (m, k) times (k, n)."""

LIBRARIES = ("numpy", "jax", "tensorflow")
PACKAGES = (
    "lrmf",
    "numpy",
    "jax",
    "jaxlib",
    "optax",
    "tensorflow",
    "tensorflow-probability",
    "tf-keras",
    "torch",
    "normflows",
    "zuko",
    "ott-jax",
)


def available_libraries() -> list[str]:
    """List the libraries whose matrix product can be timed here."""
    return [name for name in LIBRARIES if find_spec(name) is not None]


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, BLAS of NumPy, system, load."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "blas": f"{blas['name']} {blas['version']}",
        "system": f"{platform.system()} {platform.machine()}",
        # Above the cores' number, something else was running and the figures say little.
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str | None]:
    """Python and the packages that matter; `None` for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def own_shapes(hidden: int, batch: int) -> dict[str, Shape]:
    """List the large products of one step, n rows through T and 2n through S.

    A hidden layer multiplies (rows, h) by (h, h) going forward, the same shapes for the
    gradient of its input, and (h, rows) by (rows, h) for the gradient of its weight. Each
    `forward` product is therefore due twice.
    """
    return {
        "transform forward": (batch, hidden, hidden),
        "transform weight gradient": (hidden, batch, hidden),
        "density forward": (2 * batch, hidden, hidden),
        "density weight gradient": (hidden, 2 * batch, hidden),
    }


def matmul_rate(library: str, shape: Shape, *, seconds: float) -> float:
    """Operations per second (2mkn a product) of float32 products, timed for `seconds`.

    Raises:
        ValueError: If the library is none of `LIBRARIES`.
    """
    multiply = _multiplier(library, shape)
    multiply(3)
    count, done = 1, 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not done:
        multiply(count)
        done += count
        # Reading the clock must not show: look at it a few hundred times at most.
        count = min(2 * count, 1000)
    m, k, n = shape
    return 2 * m * k * n * done / elapsed


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes.

    On Linux `getrusage` starts from the size of the process that started this one, so the
    kernel's high-water mark of this program alone is read instead.
    """
    import resource

    if (found := _kernel_says("VmHWM:")) is not None:
        return found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def resident_memory() -> int:
    """Resident size of this process now, in bytes; its largest so far where no kernel tells."""
    found = _kernel_says("VmRSS:")
    return peak_memory() if found is None else found


def _kernel_says(field: str) -> int | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else ()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), None)


def _multiplier(library: str, shape: Shape) -> Callable[[int], object]:
    m, k, n = shape
    rng = np.random.default_rng(0)
    left = rng.normal(size=(m, k)).astype(np.float32)
    right = rng.normal(size=(k, n)).astype(np.float32)
    if library == "numpy":
        out = np.empty((m, n), np.float32)
        return lambda count: [np.matmul(left, right, out=out) for _ in range(count)]
    if library == "jax":
        import jax

        product = jax.jit(lambda x, y: x @ y)
        a, b = jax.device_put(left), jax.device_put(right)

        def multiply(count: int) -> object:
            results = [product(a, b) for _ in range(count)]
            return jax.block_until_ready(results[-1])

        return multiply
    if library == "tensorflow":
        import tensorflow as tf

        x, y = tf.constant(left), tf.constant(right)
        return lambda count: [tf.matmul(x, y) for _ in range(count)][-1].numpy()
    raise ValueError(f"unknown library {library!r}; choose from {', '.join(LIBRARIES)}.")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
