"""Find the smallest input for which an answer is wrong, with Hypothesis."""

from __future__ import annotations

import random
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lrmf.course.given import Given

__all__ = ["smallest"]

Failure = TypeVar("Failure")
SECONDS = 0.6


def smallest(
    given: Mapping[str, Given],
    related: Callable[[Mapping[str, Any]], bool],
    wrong: Callable[[Mapping[str, Any]], Failure | None],
    seed: int,
    examples: int,
) -> tuple[Mapping[str, Any], Failure] | None:
    """Return the simplest case found that is wrong, with what is wrong; None where there is none.

    After 0.6 s of computing the simplest one so far has to do.

    Raises:
        ImportError: Hypothesis is missing; the message names the extra to install.
    """
    try:
        import hypothesis
        from hypothesis import configuration, strategies as st
    except ImportError as error:
        raise ImportError(
            "The checks of the course look for small counterexamples with Hypothesis, which could "
            f'not be imported ({error}). Run: pip install "lrmf[course]"'
        ) from error

    best: list[tuple[Mapping[str, Any], Failure]] = []
    until = time.process_time() + SECONDS

    def fails(case: Mapping[str, Any]) -> bool:
        if time.process_time() > until or not related(case):
            return False
        failure = wrong(case)
        if failure is None:
            return False
        best.append((case, failure))
        return True

    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    )
    # It keeps what it computes about modules in the current folder, among a student's notebooks.
    configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "lrmf-hypothesis")
    cases = st.fixed_dictionaries({name: one.strategy() for name, one in given.items()})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case = hypothesis.find(cases, fails, settings=settings, random=random.Random(seed))
    except hypothesis.errors.HypothesisException:
        # None found, or it ran out of time while it made one simpler.
        return best[-1] if best else None
    finally:
        configuration.set_hypothesis_home_dir(None)
    failure = wrong(case)
    return best[-1] if failure is None else (case, failure)
