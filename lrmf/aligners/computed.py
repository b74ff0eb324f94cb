"""What aligners share whose map NumPy computes from the data at once: no backend, no training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ..degenerate import warn_of_degenerate
from ..judge.seen import Remembered
from ..points import Rows
from ..standardization import moments
from . import persistence
from .base import Aligner

__all__ = [
    "ComputedAligner",
    "check_squares",
    "largest_deviation",
    "shared_deviations",
    "warn_of_points",
]


class ComputedAligner(Aligner):
    """An aligner that a few named arrays determine; it draws nothing at random."""

    #: Fitted attributes that a file holds: arrays.
    _arrays: ClassVar[tuple[str, ...]]

    #: The parameters of the last fit.
    _fitted_parameters: dict[str, Any]

    def _keep(
        self,
        own: Self,
        source: np.ndarray,
        target: np.ndarray,
        names: list[str] | None,
        **fitted: Any,
    ) -> None:
        """Keep what a fit of an aligner like this one, with plain values, gave: all at once."""
        self.__dict__ = {
            **{k: v for k, v in vars(self).items() if k != "feature_names_in_"},
            **fitted,
            **({} if names is None else {"feature_names_in_": np.array(names, dtype=object)}),
            "_event_shape": source.shape[1:],
            "_remembered": (Remembered(Rows(source)), Remembered(Rows(target))),
            "_fitted_parameters": own.get_params(deep=False),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted aligner to a file of named arrays and JSON, all of it or nothing.

        Raises ``OSError`` where it can't be written, as `lrmf.storage` says.
        """
        self._check_fitted()
        arrays = {name: getattr(self, name) for name in self._arrays}
        facts = {name: getattr(self, name) for name in self._facts}
        # The parameters may have been set to others since.
        persistence.write(self, path, arrays, facts, self._fitted_parameters)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `save` wrote, with this version or an earlier one.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, of a later version, or of something else.
        """
        aligner, arrays = persistence.read(cls, path, {})
        missing = [name for name in cls._arrays if name not in arrays]
        if missing:
            raise ValueError(
                f"{path} is damaged: it lacks {', '.join(missing)}; save the model again"
            )
        persistence.check_all_known(arrays, cls._arrays, path)
        for name in cls._arrays:
            setattr(aligner, name, arrays[name])
        aligner._fitted_parameters = aligner.get_params(deep=False)
        return aligner


def warn_of_points(
    given: Mapping[str, np.ndarray], names: Sequence[str] | None, *, looks: Sequence[str]
) -> None:
    """`lrmf.degenerate.warn_of_degenerate` of points, by argument, from inside of ``fit``."""
    rows = {argument: Rows(x.reshape(len(x), -1)) for argument, x in given.items()}
    warn_of_degenerate(
        rows,
        {argument: moments(x) for argument, x in rows.items()},
        {argument: argument for argument in rows},
        looks=looks,
        names=names,
    )


def check_squares(x: np.ndarray, argument: str) -> None:
    """Refuse points whose squares can't be summed up."""
    largest = float(np.max(np.abs(x)))
    if largest > 1e140:
        raise ValueError(
            f"{argument} holds values up to {largest:.3g}, too large for their squares in "
            "float64; standardise the data"
        )


def largest_deviation(*domains: np.ndarray) -> float:
    """That of any feature of any domain, or 1 where all are constant."""
    return float(_deviations(*domains).max()) or 1.0


def shared_deviations(*domains: np.ndarray) -> np.ndarray:
    """Of each feature of flat points ``(n, d)`` the mean square of domains' deviations, rooted.

    That of features that are constant is the largest deviation of all, or 1.
    """
    unit = largest_deviation(*domains)
    shared = np.sqrt(((_deviations(*domains) / unit) ** 2).mean(axis=0))
    return np.asarray(unit * np.where(shared > 0, shared, 1.0))


def _deviations(*domains: np.ndarray) -> np.ndarray:
    return np.stack([moments(Rows(x.reshape(len(x), -1))).deviation for x in domains])
