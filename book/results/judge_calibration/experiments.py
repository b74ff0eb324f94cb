"""The experiment behind "A judge and its controls": how often each decision is wrong.

A cell is a kind of pair, a dimension, two numbers of points and a true distance; its pairs come in
blocks, the first blocks of all cells before the second ones, and those of the cells that take ten
times as long as the others at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier

from book.results.judge_calibration.pairs import KINDS
from book.results.runner import Arrays, Numbers, Run
from lrmf import distances
from lrmf.judge import Certificate
from lrmf.judge.controls import SHAPES
from lrmf.judge.pair import Pair

__all__ = ["TOLERANCE", "compute", "runs", "totals"]

TOLERANCE = 0.1
BLOCK, BLOCKS = 50, 4
LEVEL = 0.05
DECISIONS = ("aligned", "not aligned", "not decided")
TESTS = ("c2st", "mmd", "energy")

SIZES = ((2, 100), (2, 300), (16, 300))
LARGER = ((2, 1000), (16, 1000))
NULLS = ("shift", "heavy", "counts")  # at distance zero


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs in their order; ``steps`` is the number of pairs in tiny runs."""
    for cells in (_cells, _slow_cells):
        for block in range(BLOCKS):
            for kind, d, n, m, truth in cells():
                yield Run(
                    name=f"{kind} d={d} n={n}+{m} truth={truth:g} block {block}",
                    compute=compute,
                    settings={
                        "kind": kind,
                        "d": d,
                        "n": n,
                        "m": m,
                        "truth": truth,
                        "block": block,
                        "pairs": steps or BLOCK,
                    },
                )


def _cells() -> Iterator[tuple[str, int, int, int, float]]:
    twice = 2.0 * TOLERANCE
    for d, n in SIZES:
        yield from _all_kinds(d, n)
    for kind, truth in (("shift", 0.0), ("shift", twice), ("rotation", twice), ("tails", twice)):
        yield kind, 64, 1000, 1000, truth
    for truth in (0.0, twice):
        yield "shift", 2, 100, 2000, truth
        yield "shift", 1, 300, 300, truth
    for d, n in LARGER:
        yield from _all_kinds(d, n)


def _slow_cells() -> Iterator[tuple[str, int, int, int, float]]:
    twice = 2.0 * TOLERANCE
    yield "shift", 784, 500, 500, 0.0
    yield "shift", 16, 10_000, 10_000, 0.0
    yield "rotation", 64, 10_000, 10_000, twice
    for truth in (0.0, twice):
        yield "shift", 2, 50_000, 50_000, truth


def _all_kinds(d: int, n: int) -> Iterator[tuple[str, int, int, int, float]]:
    for kind in NULLS:
        yield kind, d, n, n, 0.0
    yield "shift", d, n, n, TOLERANCE
    for kind in KINDS:
        if kind != "tails" or d > 2:  # two features can't differ as much by their tails
            yield kind, d, n, n, 2.0 * TOLERANCE


def compute(
    *, kind: str, d: int, n: int, m: int, truth: float, block: int, pairs: int
) -> tuple[Numbers, Arrays]:
    """Judge the pairs of one block, and count decisions and rejections."""
    draw = KINDS[kind](d, truth)
    found: dict[str, int] = dict.fromkeys((*DECISIONS, *TESTS), 0)
    values, errors = [], []
    tested = n + m <= 2000
    for number in range(block * BLOCK, block * BLOCK + pairs):
        rng = np.random.default_rng([list(KINDS).index(kind), d, n, m, number])
        a, b = draw(rng, n, m)
        certificate = judged(a, b, seed=number)
        found[certificate.decision] += 1
        values.append(certificate.lrd)
        errors.append(certificate.lrd_stderr)
        if tested:
            for name, pvalue in pvalues(a, b, seed=number).items():
                found[name] += pvalue <= LEVEL
    numbers: Numbers = {"pairs": pairs, **{name: found[name] for name in DECISIONS}}
    if tested:
        numbers |= {name: found[name] for name in TESTS}
    numbers |= {
        "lrd_sum": float(np.sum(values)),
        "lrd_square_sum": float(np.sum(np.square(values))),
        "variance_sum": float(np.sum(np.square(errors))),
    }
    return numbers, {}


def judged(a: np.ndarray, b: np.ndarray, *, seed: int) -> Certificate:
    """Judge as `lrmf.lrd` does, leaving out controls that cannot change the decision."""
    pair = Pair(a, b, seed=seed)
    found = pair.measure()
    above = found.value - 2.0 * found.stderr > TOLERANCE
    below = found.value + 2.0 * found.stderr < TOLERANCE
    wanted = [("none", 0.0)] if above else [(s, TOLERANCE) for s in SHAPES] if below else []
    log_ratio_source, log_ratio_target = pair.log_ratios(found)
    return Certificate(
        lrd=found.value,
        lrd_stderr=found.stderr,
        controls=tuple(pair.control(*control) for control in wanted),
        tolerance=TOLERANCE,
        n_source=pair.n_source,
        n_target=pair.n_target,
        log_ratio_source=log_ratio_source,
        log_ratio_target=log_ratio_target,
    )


def pvalues(a: np.ndarray, b: np.ndarray, *, seed: int) -> dict[str, float]:
    """Two-sample tests: a classifier's accuracy on held-out points, MMD and energy distance."""
    a, b = (np.asarray(x, dtype=float) for x in (a, b))
    rng = np.random.default_rng(seed)
    x, side = np.concatenate([a, b]), np.arange(len(a) + len(b)) < len(a)
    size = min(len(a), len(b))  # of either side, so that a guess is right in half of the cases
    rows = np.concatenate([rng.permutation(len(a))[:size], len(a) + rng.permutation(len(b))[:size]])
    train = np.tile(rng.permutation(size) % 2 == 0, 2)
    model = HistGradientBoostingClassifier(max_iter=60, early_stopping=False)
    model.fit(x[rows[train]], side[rows[train]])
    test = rows[~train]
    right = int(np.sum(model.predict(x[test]) == side[test]))
    found = {"c2st": stats.binomtest(right, len(test), 0.5, alternative="greater").pvalue}
    for name, statistic in (("mmd", distances.mmd2), ("energy", distances.energy_distance)):
        test_of = distances.permutation_test(statistic, a, b, n_permutations=99, seed=seed)
        found[name] = test_of.pvalue
    return {name: float(value) for name, value in found.items()}


def totals(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sum the blocks of each cell: the settings, counts, mean and deviations by the cell's name."""
    cells: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        settings = {k: v for k, v in run["settings"].items() if k not in ("block", "pairs")}
        cell = cells.setdefault(name.rpartition(" block ")[0], dict(settings))
        for key, value in run.items():
            if key != "settings":
                cell[key] = cell.get(key, 0) + value
    for cell in cells.values():
        count = cell["pairs"]
        cell["lrd"] = cell.pop("lrd_sum") / count
        spread = max(cell.pop("lrd_square_sum") / count - cell["lrd"] ** 2, 0.0)
        cell["deviation"] = float(np.sqrt(spread))
        cell["stderr"] = float(np.sqrt(cell.pop("variance_sum") / count))
    return cells
