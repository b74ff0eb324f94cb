"""Checks for the course's assignments: they say what is wrong with an answer, and why.

>>> from lrmf import course
>>> course.check("flows.statements", {"z"})
✗ flows.statements: there is no statement z; there are a, b, c, d, e, f.

An answer is a function, an array, or a set of letters, as the task says. A check tries it on many
inputs, shows the smallest one for which it is wrong, and compares it with the usual errors. It
needs Hypothesis: ``pip install "lrmf[course]"``. :mod:`lrmf.course.containment` says what an answer
cannot do to your notebook; ``python -m lrmf.course grade`` is for instructors.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from lrmf.course.assignments import TASKS, task
from lrmf.course.notebook import check_notebook
from lrmf.course.report import Report

__all__ = ["TASKS", "Report", "check", "check_notebook", "hint", "task"]

_shown: Counter[str] = Counter()


def check(name: str, answer: Any) -> Report:
    """Check the answer to a task; as the last line of a cell it shows what it found.

    Args:
        name: the task, as its page gives it, such as ``"flows.coupling"``.
        answer: a function, an array or a set of letters. Of a function, results may be NumPy, JAX
            or TensorFlow arrays, in single or double precision.

    Returns:
        A report, which is true where the answer is right. Nothing that the answer does raises.

    Raises:
        ValueError: there is no such task.

    >>> check("flows.statements", {"a", "z"})
    ✗ flows.statements: there is no statement z; there are a, b, c, d, e, f.
    """
    return task(name).examine(answer)


def hint(name: str, step: int | None = None) -> str:
    """Return the next of a task's three hints, or a given one (1, 2 or 3).

    Raises:
        ValueError: there is no such task, or no such step.

    >>> hint("flows.coupling", 1)
    Hint 1 of 3: ...
    """
    hints = task(name).hints
    if step is None:
        _shown[name] = min(_shown[name] + 1, len(hints))
        step = _shown[name]
    if step not in (1, 2, 3):
        raise ValueError(f"step must be 1, 2 or 3, got {step!r}")
    return Hint(f"Hint {step} of {len(hints)}: {hints[step - 1]}")


class Hint(str):
    """Text that a notebook shows without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
