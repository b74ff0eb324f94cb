"""Tasks and how an answer to one is examined: search for a failing case, shrink it, name the error.

A task knows no solution. It knows what must be true of a right answer, computed by other means than
a student would use (finite differences, quadrature, a library), and what the usual errors do to
that value: the sign flipped, a factor forgotten. An answer that is wrong is compared with these.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from lrmf.course.containment import Answer, Failed, budget, plain
from lrmf.course.given import Given
from lrmf.course.report import Report
from lrmf.course.search import smallest
from lrmf.course.values import as_numbers, close, in_words

__all__ = ["Aspect", "Construction", "Function", "Mistake", "Requirement", "Statements", "Task"]

Case = Mapping[str, Any]
# What one aspect of an answer is for a case, and what it should be.
Value = Callable[[Answer, Case], Any]
# Random cases with which errors are told apart, and cases that Hypothesis tries.
SAMPLES, EXAMPLES = 6, 40
# Failures for which no smaller case is looked for.
ENDS = ("unanswered", "too slow", "out of time", "not run", "unreadable")


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A usual error: its short name, what to think about, and what it makes of the right value.

    ``value`` gets the right value and the case, and returns what the error would return, up to
    ``alike``, such as the absolute value where signs mean nothing.
    """

    name: str
    text: str
    value: Callable[[Any, Case], Any]
    alike: Callable[[Any], Any] = lambda value: value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aspect:
    """One thing that must be right about a function's result, and its usual errors."""

    name: str
    text: str
    wanted: Value
    got: Value
    mistakes: tuple[Mistake, ...] = ()
    tolerance: float = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What all tasks have: a name, one of three levels, and three hints from vague to plain."""

    kind: ClassVar[str] = ""
    name: str
    level: str
    hints: tuple[str, str, str]

    def examine(self, answer: Any, *, seed: int | None = None, seconds: float = 1.5) -> Report:
        """Return what is to be said of an answer; ``seed`` fixes the cases that are tried."""
        raise NotImplementedError

    def report(self, diagnosis: str, text: str, **more: Any) -> Report:
        """Return the report of an answer that is not right."""
        return Report(name=self.name, passed=False, diagnosis=diagnosis, text=text, **more)

    @property
    def right(self) -> Report:
        """The report of a right answer."""
        return Report(name=self.name, passed=True, text="right.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function(Task):
    """The answer is a function of the ``given`` arguments; its ``aspects`` are looked at in turn.

    ``related`` may reject a case whose arguments do not fit together. ``sweep`` names an argument
    along which a wrong answer is drawn against the right one.
    """

    kind: ClassVar[str] = "a function"
    given: Mapping[str, Given]
    aspects: tuple[Aspect, ...]
    related: Callable[[Case], bool] = lambda case: True
    sweep: tuple[str, float, float] | None = None
    examples: int = EXAMPLES
    # Seconds for all calls together, where the answer trains something.
    training: float | None = None
    special: str = "Your function is right for ordinary inputs, and not for the one below."

    def examine(self, answer: Any, *, seed: int | None = None, seconds: float = 1.5) -> Report:
        seed = secrets.randbits(32) if seed is None else seed
        refusal = self._refusal(answer)
        if refusal is not None:
            return refusal
        contained = Answer(answer, budget(answer, max(seconds, self.training or 0.0)))
        samples = self._samples(np.random.default_rng(seed))
        failures = [(case, self._wrong(contained, case)) for case in samples]
        wrong = [(case, failure) for case, failure in failures if failure]
        # What is no value of the right shape comes first: it may have it by chance, where n = d.
        ordinary = next((each for each in wrong if each[1][0] is None), next(iter(wrong), None))
        if ordinary is not None and ordinary[1][1].diagnosis in ENDS:
            failed = ordinary[1][1]
            return self.report(failed.diagnosis, str(failed))
        found = smallest(
            self.given,
            self.related,
            lambda case: self._like(ordinary, self._wrong_in_time(contained, case)),
            seed,
            self.examples,
        )
        # Hypothesis may miss what is wrong for random numbers only.
        shown = found or ordinary
        if shown is None:
            return self.right
        case, (aspect, failed) = shown
        where = f"Smallest case found: {_arguments(case)}."
        if aspect is not None or ordinary is None or str(failed) != str(ordinary[1][1]):
            where += f"\n{failed}"  # else it stands above
        if ordinary is not None:
            aspect, failed = ordinary[1]
        picture, alt = self._picture(contained, aspect, case)
        if ordinary is None and failed.diagnosis in ENDS:
            return self.report(failed.diagnosis, str(failed), case=where)
        if ordinary is None:
            return self.report("special case", self.special, case=where, picture=picture, alt=alt)
        mistake = None if aspect is None else self._recognised(contained, aspect, samples)
        return self.report(
            failed.diagnosis if mistake is None else mistake.name,
            (f"{aspect.name} is wrong. " if aspect else "")
            + (mistake.text if mistake else aspect.text if aspect else str(failed)),
            case=where,
            picture=picture,
            alt=alt,
        )

    def _samples(self, rng: np.random.Generator) -> list[Case]:
        samples: list[Case] = []
        while len(samples) < SAMPLES:
            case = {name: given.sample(rng) for name, given in self.given.items()}
            if self.related(case):
                samples.append(case)
        return samples

    def _refusal(self, answer: Any) -> Report | None:
        if answer is None or answer is Ellipsis:
            return self.report("unanswered", "not answered yet.")
        if not callable(answer) or isinstance(answer, type):
            kind = type(answer).__name__
            return self.report(
                "no function",
                f"expected a function, got a {kind}. Pass the function itself, without brackets "
                "after its name.",
            )
        try:
            inspect.signature(answer).bind(*self.given)
        except TypeError:
            names = ", ".join(self.given)
            return self.report(
                "signature", f"the function must take {len(self.given)} arguments: ({names})."
            )
        except ValueError:  # a compiled function tells nothing about its arguments
            pass
        return None

    def _wrong(self, answer: Answer, case: Case) -> tuple[Aspect | None, Failed] | None:
        # The first aspect that is wrong; none where there was no value to look at.
        for aspect in self.aspects:
            try:
                got = aspect.got(answer, case)
                wanted = aspect.wanted(answer, case)
                got = as_numbers(got, np.shape(wanted), aspect.name)
            except Failed as failed:
                return None, failed
            if not close(got, wanted, aspect.tolerance):
                said = f"{aspect.name}: you have {in_words(got)}, it should be {in_words(wanted)}."
                return aspect, Failed(f"{aspect.name}: other", said)
        return None

    def _wrong_in_time(self, answer: Answer, case: Case) -> tuple[Aspect | None, Failed] | None:
        """As ``_wrong``, for the search: when its time is up, nothing more is found."""
        failure = self._wrong(answer, case)
        return None if failure and failure[1].diagnosis == "out of time" else failure

    @staticmethod
    def _like(
        ordinary: tuple[Case, tuple[Aspect | None, Failed]] | None,
        failure: tuple[Aspect | None, Failed] | None,
    ) -> tuple[Aspect | None, Failed] | None:
        """A failure, if it is of the kind that is told: a case of another kind would mislead."""
        if ordinary is None or failure is None:
            return failure
        told = ordinary[1]
        same = failure[0] is told[0] and failure[1].diagnosis == told[1].diagnosis
        return failure if same else None

    def _recognised(self, answer: Answer, aspect: Aspect, samples: list[Case]) -> Mistake | None:
        """Return the usual error that does to all random cases what this answer does."""
        try:
            pairs = [(aspect.got(answer, case), aspect.wanted(answer, case)) for case in samples]
        except Failed:
            return None
        for mistake in aspect.mistakes:
            with np.errstate(all="ignore"):
                made = [
                    mistake.value(wanted, case)
                    for (_, wanted), case in zip(pairs, samples, strict=True)
                ]
            told = zip(pairs, made, strict=True)
            same = mistake.alike
            if all(close(same(got), same(value), aspect.tolerance) for (got, _), value in told):
                return mistake
        return None

    def _picture(self, answer: Answer, aspect: Aspect | None, case: Case) -> tuple[bytes, str]:
        if self.sweep is None or aspect is None:
            return b"", ""
        from lrmf.course.drawing import draw_sweep

        name, low, high = self.sweep
        at = np.linspace(low, high, 41)
        curves = []
        for value in (aspect.got, aspect.wanted):
            try:
                points = [value(answer, {**case, name: float(x)}) for x in at]
                curves.append(np.array([np.ravel(p)[0] for p in points], dtype=float))
            except (Failed, ValueError, TypeError, IndexError):
                return b"", ""
        return draw_sweep(at, curves[0], curves[1], name, aspect.name, case.get(name))


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A property that a constructed answer must have; ``holds`` gets it as an array or mapping."""

    name: str
    text: str
    holds: Callable[[Any], bool]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Construction(Task):
    """The answer is an example to be found, an array; requirements are looked at in turn.

    ``read`` brings an answer to the form in which the requirements get it, and raises ``Failed``.
    """

    kind: ClassVar[str] = "an example"
    read: Callable[[Any], Any]
    requirements: tuple[Requirement, ...]

    def examine(self, answer: Any, *, seed: int | None = None, seconds: float = 1.5) -> Report:
        if answer is None or answer is Ellipsis:
            return self.report("unanswered", "not answered yet.")
        try:
            found = self.read(plain(answer))
            for requirement in self.requirements:
                if not requirement.holds(found):
                    return self.report(requirement.name, requirement.text)
        except Failed as failed:
            return self.report(failed.diagnosis, str(failed))
        return self.right


@dataclasses.dataclass(frozen=True, kw_only=True)
class Statements(Task):
    """The answer is the set of the true statements' letters, such as ``{"a", "d"}``.

    ``thoughts`` says for each letter what to think about again; ``seal`` hides which are true from
    a glance at this file (not from a program: the letters are few).
    """

    kind: ClassVar[str] = "the letters of the true statements"
    level: str = "judge"
    thoughts: Mapping[str, str]
    seal: str

    def examine(self, answer: Any, *, seed: int | None = None, seconds: float = 1.5) -> Report:
        if answer is None or answer is Ellipsis:
            return self.report("unanswered", "not answered yet.")
        value = plain(answer)
        if isinstance(value, str):
            value = [letter for letter in value if letter.isalnum()]
        if not isinstance(value, frozenset | tuple | list) or not all(
            isinstance(letter, str) for letter in value
        ):
            return self.report(
                "no letters", f"expected {self.kind}, for example {{'a', 'd'}}, got {answer!r:.80}."
            )
        chosen = {letter.strip(" ,").lower() for letter in value} - {""}
        unknown = sorted(chosen - set(self.thoughts))
        if unknown:
            return self.report(
                "no letters",
                f"there is no statement {', '.join(unknown)}; "
                f"there are {', '.join(self.thoughts)}.",
            )
        if not chosen:
            return self.report("unanswered", "not answered yet: no letter.")
        true = unsealed(self.name, self.seal, tuple(self.thoughts))
        wrong = [letter for letter in self.thoughts if (letter in chosen) != (letter in true)]
        if not wrong:
            return self.right
        if len(wrong) > 2:
            return self.report("several statements", f"{len(wrong)} statements are judged wrong.")
        text = " ".join(f"Think again about {k}: {self.thoughts[k]}" for k in wrong)
        return self.report("statement " + ", ".join(wrong), text)


def sealed(name: str, letters: tuple[str, ...], true: frozenset[str]) -> str:
    """Return the seal of a task's true statements."""
    return "".join(f"{_mask(name, k) ^ (k in true):02x}" for k in letters)


def unsealed(name: str, seal: str, letters: tuple[str, ...]) -> frozenset[str]:
    """Return the letters of the true statements."""
    values = bytes.fromhex(seal)
    return frozenset(k for k, v in zip(letters, values, strict=True) if v ^ _mask(name, k))


def _mask(name: str, letter: str) -> int:
    return hashlib.sha256(f"{name} {letter}".encode()).digest()[0]


def _arguments(case: Case) -> str:
    return ", ".join(f"{name} = {in_words(value)}" for name, value in case.items())
