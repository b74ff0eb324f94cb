"""Puts a fault into a copy of the library and runs the tests that should see it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Mutant", "Outcome", "ROOT", "check_unchanged", "examine", "faults_of", "files_of"]

ROOT = Path(__file__).resolve().parents[2]

#: What no copy needs: history, installed packages, and what was built or cached.
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "_build", "build", "dist", "__pycache__", ".*_cache", "*.egg-info"
)
#: Exit codes of pytest.
_PASSED, _FAILED = 0, 1
_TROUBLE = {
    2: "pytest was interrupted; an error while it collects the tests does that, too",
    3: "pytest had an internal error",
    4: "pytest refused its arguments",
    5: "no test was collected",
}


@dataclass(frozen=True)
class Mutant:
    """A fault, and the tests that should see it.

    Attributes:
        name: what is wrong.
        file: the source, from the root of the repository.
        old: a text that occurs exactly once in it.
        new: what takes its place: other behaviour, never only other words for the same.
        tests: arguments of pytest, best the file of the lowest level that has the behaviour, with
            a broad ``-k`` where all of the file takes long.
        hangs: whether the fault may keep the tests from ending; then that kills it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    hangs: bool = False

    def apply(self, root: Path) -> None:
        """Put the fault into the tree below ``root``."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"the old text occurs {count} times in {self.file}, not once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes:
        name: of the mutant.
        verdict: ``"killed"`` (a test failed), ``"survived"``, or ``"error"``, where the list is
            wrong and nothing can be said.
        seconds: that the tests took.
        test: the first one that failed.
        detail: what went wrong, for an error.
    """

    name: str
    verdict: Literal["killed", "survived", "error"]
    seconds: float
    test: str = ""
    detail: str = ""


@dataclass(frozen=True)
class _Run:
    """One run of pytest; ``code`` is None where it did not end in time."""

    code: int | None
    seconds: float
    ran: int
    failed: str
    output: str

    @property
    def trouble(self) -> str:
        """Why the run says nothing about the tests, if so."""
        last = " | ".join(self.output.strip().splitlines()[-3:])
        if self.code is None:
            return f"the tests did not end within {self.seconds:.0f} s"
        if self.code not in (_PASSED, _FAILED):
            return f"{_TROUBLE.get(self.code, f'exit code {self.code}')}: {last}"
        if not self.ran:
            return f"no test ran: {last}"
        return ""


def examine(mutant: Mutant, *, root: Path = ROOT, timeout: float = 300.0) -> Outcome:
    """Run a mutant's tests on a copy of the tree that has its fault."""
    with _copy(root) as copy:
        try:
            mutant.apply(copy)
        except (OSError, ValueError) as error:
            return Outcome(mutant.name, "error", 0.0, detail=str(error))
        run = _pytest(copy, mutant.tests, timeout)
    if run.code is None and mutant.hangs:
        return Outcome(mutant.name, "killed", run.seconds, test="did not end")
    if run.trouble:
        return Outcome(mutant.name, "error", run.seconds, detail=run.trouble)
    verdict: Literal["killed", "survived"] = "killed" if run.code == _FAILED else "survived"
    return Outcome(mutant.name, verdict, run.seconds, test=run.failed)


def check_unchanged(
    tests: Sequence[str], *, root: Path = ROOT, timeout: float = 900.0
) -> tuple[str, float]:
    """Why these tests do not pass on an unchanged copy ("" where they do), and the seconds.

    Where they fail anyway, a mutant that they "kill" proves nothing.
    """
    with _copy(root) as copy:
        run = _pytest(copy, tests, timeout)
    fault = run.trouble or (f"fails without any fault: {run.failed}" if run.code else "")
    return fault, run.seconds


def faults_of(mutants: Sequence[Mutant], root: Path = ROOT) -> list[str]:
    """What is wrong with a list of mutants, as far as one can see without running tests."""
    faults = [
        f"{name}: {count} mutants have this name"
        for name, count in Counter(mutant.name for mutant in mutants).items()
        if count > 1
    ]
    for mutant in mutants:
        source = root / mutant.file
        count = source.read_text(encoding="utf-8").count(mutant.old) if source.is_file() else 0
        if count != 1:
            faults.append(f"{mutant.name}: the old text occurs {count} times in {mutant.file}")
        if mutant.new == mutant.old:
            faults.append(f"{mutant.name}: changes nothing")
        files = files_of(mutant.tests)
        if not files:
            faults.append(f"{mutant.name}: names no tests")
        faults += [
            f"{mutant.name}: there is no {file}" for file in files if not (root / file).exists()
        ]
    return faults


def files_of(arguments: Sequence[str]) -> list[str]:
    """The files among arguments of pytest, which may hold options ``-k EXPRESSION``."""
    files, rest = [], iter(arguments)
    for argument in rest:
        if argument == "-k":
            next(rest, None)
        elif not argument.startswith("-"):
            files.append(argument.partition("::")[0])
    return files


@contextlib.contextmanager
def _copy(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lrmf-mutant-") as folder:
        copy = Path(folder).resolve() / "tree"
        shutil.copytree(root, copy, ignore=_LEFT_OUT, symlinks=True)
        yield copy


def _pytest(copy: Path, arguments: Sequence[str], timeout: float) -> _Run:
    """Run tests of a copy, in this interpreter, up to the first that fails."""
    report, log = copy.parent / "report.json", copy.parent / "log.txt"
    # A run inside pytest, with or without xdist, must not see the settings of the outer one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {
        # Before an installed lrmf, in processes that tests start as well.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(copy), os.environ.get("PYTHONPATH")])),
        "LRMF_MUTANT_REPORT": str(report),
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.mutants.inside", "-n0", "-x", "-q"]
    began = time.perf_counter()
    with log.open("w+", encoding="utf-8", errors="replace") as output:
        # Into a file: a pipe would stay open as long as any process that a test left behind.
        process = subprocess.Popen(
            [*command, "-p", "no:cacheprovider", *arguments],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        text = output.read()
    told: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {}
    return _Run(
        code=code,
        seconds=time.perf_counter() - began,
        ran=told.get("ran", 0),
        failed=told.get("failed", ""),
        output=text,
    )
