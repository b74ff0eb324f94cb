"""Two files in, a certificate out, with the columns and rows that tell the files apart."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import check_seed
from .certificate import Certificate
from .distance import check_tolerance, lrd
from .pair import MAXIMUM, MINIMUM
from .tables import Table, read_table

__all__ = ["Comparison", "judge_files", "telling"]

# Groups of equally many points by whose means a column's share is measured.
_GROUPS = 20


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found between two files.

    Attributes:
        source, target: the tables, with the rows that were judged.
        certificate: of these rows.
        telling: for each column, the share of the log-ratio that follows from it alone
            ``(columns,)``, see `telling`.

    >>> import tempfile, pathlib
    >>> import lrmf
    >>> folder, rng = pathlib.Path(tempfile.mkdtemp()), np.random.default_rng(0)
    >>> for name, mean in (("a.npy", 0.0), ("b.npy", 2.0)):
    ...     np.save(folder / name, rng.normal([0.0, mean], 1.0, size=(300, 2)))
    ...
    >>> paths = str(folder / "a.npy"), str(folder / "b.npy")
    >>> found = lrmf.judge.judge_files(*paths, controls=False)
    >>> int(found.order[0])  # the second column differs
    1
    """

    source: Table
    target: Table
    certificate: Certificate
    telling: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The columns by what they tell, the most telling first."""
        return np.argsort(-self.telling, kind="stable")

    def furthest(self, side: str, count: int) -> list[tuple[int, float]]:
        """Rows of one file that look least like the other's, with their log-ratio in nats.

        Args:
            side: ``"source"`` or ``"target"``.
            count: how many rows at most; rows of log-ratio zero look like either file's.
        """
        table = self.source if side == "source" else self.target
        sign = 1.0 if side == "source" else -1.0
        found = self.certificate
        ratio = found.log_ratio_source if side == "source" else found.log_ratio_target
        best = np.argsort(-sign * ratio, kind="stable")[:count]
        return [(int(table.numbers[i]), float(ratio[i])) for i in best if sign * ratio[i] > 0]

    def text(self) -> str:
        """The verdict and what belongs to it, in short lines."""
        lines = [self.certificate.verdict]
        for table in (self.source, self.target):
            kept = len(table.points)
            line = f"{table.path}: {table.rows:,} rows, {len(table.columns)} columns"
            if table.dropped:
                line += f", {table.dropped:,} rows with missing values left out"
            if kept < table.rows - table.dropped:
                line += f", {kept:,} drawn"
            lines.append(line)
        if self.certificate.lrd > 2.0 * self.certificate.lrd_stderr and self.telling.max() > 0:
            told = [f"{self.source.columns[i]} {self.telling[i]:.0%}" for i in self.order[:5]]
            lines.append(f"columns that differ (share of the log-ratio): {', '.join(told)}")
            for side, table in (("source", self.source), ("target", self.target)):
                rows = ", ".join(f"{n} ({r:+.1f})" for n, r in self.furthest(side, 3))
                if rows:
                    lines.append(f"rows of {table.path} that look least like the other's: {rows}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can hold; distances are in nats."""
        found = self.certificate
        return {
            "decision": found.decision,
            "lrd": found.lrd,
            "lrd_stderr": found.lrd_stderr,
            "tolerance": found.tolerance,
            "disjoint": 2.0 * float(np.log(2.0)),
            "verdict": found.verdict.splitlines(),
            "controls": [
                {"shape": c.shape, "truth": c.truth, "lrd": c.lrd, "lrd_stderr": c.lrd_stderr}
                for c in found.controls
            ],
            "files": [
                {
                    "path": table.path,
                    "rows": table.rows,
                    "judged": len(table.points),
                    "dropped": table.dropped,
                    "furthest": [
                        {"row": row, "log_ratio": ratio} for row, ratio in self.furthest(side, 10)
                    ],
                }
                for side, table in (("source", self.source), ("target", self.target))
            ],
            "columns": {
                name: float(share)
                for name, share in zip(self.source.columns, self.telling, strict=True)
            },
        }

    def picture(self, path: str) -> None:
        """Draw where the files differ, in the two most telling columns (`lrmf.plots.log_ratio`).

        Raises:
            ImportError: matplotlib is missing.
            OSError: the picture can't be written.
            ValueError: matplotlib knows no such kind of file.
        """
        from .. import plots

        with plots.style():
            from matplotlib.figure import Figure

            figure = Figure(figsize=(6.4, 4.8))
            ax = figure.subplots()
            first, second = (*self.order, 0)[:2]
            ax.set_xlabel(self.source.columns[first])
            if len(self.source.columns) > 1:
                ax.set_ylabel(self.source.columns[second])
            plots.log_ratio(
                ax,
                self.certificate,
                self.source.points,
                self.target.points,
                features=(int(first), int(second)),
            )
            ax.set_title(self.certificate.verdict.partition("\n")[0].partition(",")[0])
            figure.savefig(path)


def judge_files(
    source: str,
    target: str,
    *,
    columns: Sequence[str] | None = None,
    drop_missing: bool = False,
    tolerance: float = 0.1,
    seed: int = 0,
    controls: bool = True,
) -> Comparison:
    """Judge whether the rows of two files have one distribution, as `lrmf.lrd` does for arrays.

    Files are read piece by piece, so that they may be larger than memory; of more than 50,000 rows
    that many are drawn. Columns go by their names where both files have them, in the first file's
    order.

    Args:
        source: a CSV, NPY or Parquet file, see `read_table`.
        target: another one with the same columns.
        columns: the columns to judge; by default all.
        drop_missing: leave out rows in which a value is missing.
        tolerance: the largest distance in nats that counts as aligned.
        seed: of the rows that are drawn, and of the judge.
        controls: False leaves the controls out, and with them the decision.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is no table of numbers, the columns differ, values are missing, or there
            are too few rows.
        ImportError: Parquet without pyarrow.

    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> import lrmf
    >>> folder, rng = pathlib.Path(tempfile.mkdtemp()), np.random.default_rng(0)
    >>> for name, mean in (("a.npy", 0.0), ("b.npy", 2.0)):
    ...     np.save(folder / name, rng.normal(mean, 1.0, size=(300, 2)))
    ...
    >>> found = lrmf.judge.judge_files(str(folder / "a.npy"), str(folder / "b.npy"))
    >>> found.certificate.decision
    'not aligned'
    """
    # Before files that may be long are read.
    check_tolerance(tolerance)
    check_seed(seed)
    options: dict[str, Any] = {"drop_missing": drop_missing, "at_most": MAXIMUM}
    first = read_table(source, columns=columns, seed=(seed, 0), **options)
    if os.path.exists(target) and os.path.samefile(source, target):
        raise ValueError(f"{source} and {target} are one file; the judge takes independent samples")
    second = _like(first, read_table(target, columns=columns, seed=(seed, 1), **options))
    for table in (first, second):
        if len(table.points) < MINIMUM:
            raise ValueError(
                f"{table.path} has {len(table.points)} rows to judge; the judge needs {MINIMUM} or "
                "more a file, and hundreds to decide"
            )
    found = lrd(first.points, second.points, tolerance=tolerance, seed=seed, controls=controls)
    points = np.concatenate([first.points, second.points])
    ratio = np.concatenate([found.log_ratio_source, found.log_ratio_target])
    return Comparison(
        source=first, target=second, certificate=found, telling=telling(points, ratio)
    )


def telling(points: np.ndarray, log_ratio: np.ndarray) -> np.ndarray:
    """For each feature, the share of the log-ratio's variance that follows from it alone ``(d,)``.

    The correlation ratio η²: the variance of the means in 20 groups of neighbouring values over the
    variance of all. What only features together can tell, such as a correlation, is nobody's share.

    Args:
        points: ``(n, d)``.
        log_ratio: of the same points ``(n,)``; those that were not judged, NaN, do not count.

    >>> import numpy as np
    >>> points = np.random.default_rng(0).normal(size=(2000, 2))
    >>> telling(points, points[:, 1]).round(1)
    array([0., 1.])
    """
    judged = np.isfinite(log_ratio)
    points, ratio = points[judged], log_ratio[judged]
    total = ratio.var()
    shares = np.zeros(points.shape[1])
    if total == 0.0:
        return shares
    groups = np.arange(1, _GROUPS) / _GROUPS
    for j, x in enumerate(points.T):
        # Equal values fall into one group.
        group = np.searchsorted(np.unique(np.quantile(x, groups)), x, side="right")
        counts = np.bincount(group)
        means = np.bincount(group, ratio) / np.maximum(counts, 1)
        between = counts @ (means - ratio.mean()) ** 2 / len(ratio)
        # Of n points in k groups, noise alone has a share of (k - 1)/(n - 1).
        k = np.count_nonzero(counts)
        chance = (k - 1) / (len(ratio) - 1)
        shares[j] = max(0.0, (between / total - chance) / (1.0 - chance)) if chance < 1 else 0.0
    return shares


def _like(first: Table, second: Table) -> Table:
    """The second table with its columns in the order of the first."""
    if first.named and second.named:
        lacks = [name for name in first.columns if name not in second.columns]
        extra = [name for name in second.columns if name not in first.columns]
        if lacks or extra:
            found = [f"lacks {', '.join(lacks)}"] if lacks else []
            found += [f"has {', '.join(extra)} that the other lacks"] if extra else []
            raise ValueError(
                f"{second.path} has other columns than {first.path}: it {' and '.join(found)}; "
                "name those that both have with --columns"
            )
        order = [second.columns.index(name) for name in first.columns]
        return replace(second, columns=first.columns, points=second.points[:, order])
    if len(first.columns) != len(second.columns):
        raise ValueError(
            f"{second.path} has {len(second.columns)} columns, {first.path} has "
            f"{len(first.columns)}; give both the same"
        )
    return second
