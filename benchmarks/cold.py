"""What a user waits for and pays: `import lrmf`, moons from a cold process, peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Literal, cast

from benchmarks.hardware import peak_memory
from benchmarks.worker import ROOT, child_environment

__all__ = ["Backend", "certified_moons", "import_time", "timed_child"]

Backend = Literal["jax", "tfp"]

IMPORT = """\
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
heavy = [name for name in ("jax", "tensorflow") if name in sys.modules]
print(json.dumps({{"import_seconds": seconds, "heavy": heavy}}))
"""


def import_time(module: str) -> dict[str, Any]:
    """Import a module in a fresh process.

    Returns the seconds of the import statement and of the whole process, and which of JAX and
    TensorFlow got loaded.
    """
    return timed_child(["-c", IMPORT.format(module=module)])


def certified_moons(backend: Backend) -> dict[str, Any]:
    """Fit the default `lrmf.LRMF` to the default moons and certify it, in a fresh process.

    `wall_seconds` runs from starting the process until it has ended, so imports and
    compilation are in it; the certificate is for moons drawn with another seed.
    """
    return timed_child(["-m", "benchmarks.cold", backend])


def timed_child(arguments: list[str]) -> dict[str, Any]:
    """Run Python with these arguments; what it printed last, as JSON, and how long it took."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"python {arguments} failed:\n{done.stderr[-4000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"wall_seconds": wall, **answer}


def _fit_and_certify(backend: Backend) -> dict[str, Any]:
    start = time.perf_counter()
    import lrmf

    pair, held_out = lrmf.data.moons(), lrmf.data.moons(seed=1)
    # Only the family's own certificate needs private densities and refitted copies.
    model = lrmf.LRMF(backend=backend, private_steps=0, refit_steps=0, progress=False)
    model.fit(Xs=pair.source, Xt=pair.target)
    fitted = time.perf_counter()
    certificate = model.certificate(held_out.source, held_out.target)
    verdict = certificate.verdict
    return {
        "fit_seconds": fitted - start,
        "certificate_seconds": time.perf_counter() - fitted,
        "verdict": verdict,
        "lrd": certificate.lrd,
        "lrd_stderr": certificate.lrd_stderr,
        "peak_memory_bytes": peak_memory(),
    }


if __name__ == "__main__":
    print(json.dumps(_fit_and_certify(cast(Backend, sys.argv[1]))))
