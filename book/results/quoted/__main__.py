"""Save the numbers that chapters compute while they are built and the claims ledger quotes.

    python -m book.results.quoted

takes a few seconds and writes ``numbers.json`` beside this script. The ledger takes every number
from a result file, and these have no other: the fitted lines of the paper's Example 2.2, from the
chapter on vanishing gradients, and the sizes of the models, from the RealNVP chapter.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from book.results.environment import environment
from book.results.realnvp.experiments import MOONS
from lrmf.theory import mixtures

__all__ = ["FILE", "example", "main", "sizes"]

FILE = Path(__file__).parent / "numbers.json"
PACKAGES = ("numpy", "scipy")
SEEDS = 30
SHAPE = {"delta": 1.0, "sigma0": 0.5}
WINDOW = (7.0, 16.0, 19)  # from, to, number of distances


def example(seeds: int = SEEDS) -> dict[str, Any]:
    """Fit Example 2.2's line to simulations in both precisions, to quadrature, and give the law."""
    mu = np.linspace(*WINDOW)

    def line(logs: np.ndarray) -> dict[str, float]:
        fit = mixtures.fit_line(mu, logs)
        return {name: float(getattr(fit, name)) for name in ("slope", "intercept", "correlation")}

    simulated = {
        f"{dtype} seed {seed}": line(
            mixtures.simulated_log_gradient(mu, **SHAPE, seed=seed, dtype=dtype)
        )
        for dtype in ("float32", "float64")
        for seed in range(seeds)
    }
    law = {
        "slope": float(mixtures.asymptotic_slope(**SHAPE)),
        "intercept": float(mixtures.asymptotic_intercept(**SHAPE)),
    }
    quadrature = line(mixtures.log_cross_entropy_gradient(mu, **SHAPE))
    return {"simulated": simulated, "quadrature": quadrature, "law": law}


def sizes() -> dict[str, Any]:
    """Count the parameters of LRMF in the plane, as multiples of two flows back to back.

    LRMF has a map, a shared and two private densities. Back to back there are two densities.
    """
    found = {}
    for name, transform in (("moons", MOONS["transform"]), ("one size", MOONS["density"])):
        t, m = (_size(spec) for spec in (transform, MOONS["density"]))
        found[name] = {
            "transform": t,
            "density": m,
            "with private models": (t + 3 * m) / (2 * m),
            "without private models": (t + m) / (2 * m),
        }
    return found


def _size(spec: Any) -> int:
    arrays = spec.init((2,), np.random.default_rng(0))
    return int(sum(array.size for array in arrays.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    if arguments or (arguments is None and len(sys.argv) > 1):
        print("this command takes no arguments", file=sys.stderr)
        return 2
    began = time.perf_counter()
    found = {"example 2.2": example(), "parameters": sizes()}
    document = {
        "command": "python -m book.results.quoted",
        "environment": environment(PACKAGES),
        "settings": {"shape": SHAPE, "window": WINDOW, "seeds": SEEDS},
        "seconds": round(time.perf_counter() - began, 1),
        **found,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    scratch = FILE.with_suffix(".part")
    scratch.write_text(text, encoding="utf8")
    os.replace(scratch, FILE)
    print(f"wrote {FILE}: {document['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
