"""Faults of the course's checks, and of what keeps a student's code where it belongs."""

from __future__ import annotations

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

ANSWERS = ("tests/course/test_answers.py",)
CHECKS = ("tests/course/test_checks.py",)
GRADING = ("tests/course/test_grading.py",)

MUTANTS = (
    Mutant(
        "course: a stranger's exception gets out",
        "lrmf/course/containment.py",
        "        except BaseException as error:\n",
        "        except ValueError as error:\n",
        (*ANSWERS, "-k", "sentence or exits"),
    ),
    Mutant(
        "course: answers get the check's own arrays",
        "lrmf/course/containment.py",
        "[a.copy() if isinstance(a, np.ndarray) else a for a in arguments]",
        "list(arguments)",
        (*ANSWERS, "-k", "copies"),
    ),
    Mutant(
        "course: the alarm can be caught",
        "lrmf/course/containment.py",
        "class _TimeUp(BaseException):",
        "class _TimeUp(Exception):",
        (*ANSWERS, "-k", "alarm"),
    ),
    Mutant(
        "course: an infinite value agrees with everything",
        "lrmf/course/values.py",
        "(near & np.isfinite(wanted))",
        "near",
        (*CHECKS, "-k", "diagnosis and training.fit"),
    ),
    Mutant(
        "course: the largest case is shown",
        "lrmf/course/search.py",
        "phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink)",
        "phases=(hypothesis.Phase.generate,)",
        (*CHECKS, "-k", "smallest"),
    ),
    Mutant(
        "course: one random case is enough to know an error",
        "lrmf/course/tasks.py",
        "            if all(close(same(got)",
        "            if any(close(same(got)",
        (*CHECKS, "-k", "diagnosis"),
    ),
    Mutant(
        "grading: a damaged record counts",
        "lrmf/course/grading.py",
        "return record if same and record",
        "return record if record",
        (*GRADING, "-k", "taken_up"),
    ),
    Mutant(
        "grading: a name becomes a formula",
        "lrmf/course/grading.py",
        'value[:1] in "=+-@" and value',
        "False",
        (*GRADING, "-k", "taken_up"),
    ),
    Mutant(
        "grading: arrays of text come through the pipe",
        "lrmf/course/wire.py",
        "        if dtype.kind not in KINDS:\n            raise ValueError",
        "        if dtype.kind == 'V':\n            raise ValueError",
        (*GRADING, "-k", "wire"),
    ),
)
