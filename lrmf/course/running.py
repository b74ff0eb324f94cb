"""Run a submission in a process of its own, and its checks in this one.

The notebook's process gets a copy of the library, an empty folder, no network where the system can
cut it (Linux with ``unshare``), and limits on processor time, wall time, memory and files. The
checks stay here. They see of the notebook only what comes through a pipe, as JSON.

This protects from accidents and from simple tricks: endless loops, floods of output, changes of
``lrmf``, answers to the checks that are patched in. It is no sandbox for a class that means harm:
a notebook runs with your rights, and can read and delete your files. Use a container or a virtual
machine of its own for such classes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lrmf.course import wire
from lrmf.course.assignments import TASKS
from lrmf.course.containment import Failed
from lrmf.course.report import Report

__all__ = ["Limits", "Outcome", "network_can_be_cut", "run_notebook"]

LINE = 50_000_000  # bytes of one answer
ANSWER_SECONDS = 10.0  # for all calls of one answer
PACKAGE = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one notebook may use: seconds by the clock, megabytes of memory and of each file."""

    seconds: float = 300.0
    memory: int = 6000
    file: int = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a notebook: a report for each task it checks, and errors of its cells."""

    reports: tuple[Report, ...]
    errors: tuple[str, ...] = ()
    problem: str = ""


@functools.cache
def network_can_be_cut() -> bool:
    """Say whether this system lets us start a process without a network."""
    if shutil.which("unshare") is None:
        return False
    command = [*_CUT, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


_CUT = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]


def run_notebook(
    path: Path, *, names: tuple[str, ...], limits: Limits, seed: int | None = None
) -> Outcome:
    """Run a notebook and check its answers to the named tasks.

    Raises nothing for anything that the notebook does.
    """
    seed = secrets.randbits(32) if seed is None else seed
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        if not all("source" in cell and "cell_type" in cell for cell in document["cells"]):
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError):
        return _nothing(names, "this is not a notebook that can be read")
    reports: list[Report] = []
    errors: tuple[str, ...] = ()
    problem = ""
    while len(reports) < len(names):  # once more where an answer took the process down
        rest = names[len(reports) :]
        with tempfile.TemporaryDirectory(prefix="lrmf-course-") as folder:
            shutil.copytree(PACKAGE, Path(folder) / "library" / "lrmf", ignore=_needless)
            work = Path(folder) / "work"
            work.mkdir()
            shutil.copy(path, work / "submission.ipynb")
            with _Process(work, Path(folder) / "library", limits) as process:
                try:
                    first = process.talk(None, limits.seconds)
                except Failed as failed:
                    problem = str(failed)
                    reports += _nothing(rest, problem).reports
                    break
                errors = tuple(str(e)[:400] for e in list(first.get("errors") or ())[:50])
                reports += _examined(process, first.get("answers") or {}, rest, seed)
    return Outcome(reports=tuple(reports), errors=errors, problem=problem)


def _needless(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in ("__pycache__", "_results")}


def _nothing(names: tuple[str, ...], problem: str) -> Outcome:
    reports = tuple(
        Report(name=name, passed=False, diagnosis="not run", text=problem) for name in names
    )
    return Outcome(reports=reports, problem=problem)


def _examined(
    process: _Process, answers: dict[str, Any], names: tuple[str, ...], seed: int
) -> list[Report]:
    """Check one task after the other, until an answer takes the process down."""
    reports: list[Report] = []
    for name in names:
        given = answers.get(name)
        if not isinstance(given, dict):
            text = "the notebook does not check this task."
            reports.append(Report(name=name, passed=False, diagnosis="unanswered", text=text))
            continue
        try:
            answer = wire.decode(given["value"]) if "value" in given else _Remote(name, process)
        except (ValueError, TypeError) as error:
            text = f"the answer could not be read: {error}"
            reports.append(Report(name=name, passed=False, diagnosis="unreadable", text=text))
            continue
        reports.append(TASKS[name].examine(answer, seed=seed, seconds=60.0))
        if process.ended:
            break
    return reports


class _Remote:
    """A function that lives in the notebook's process."""

    def __init__(self, name: str, process: _Process) -> None:
        self._name, self._process = name, process

    def __call__(self, *arguments: Any) -> Any:
        call = {
            "name": self._name,
            "arguments": wire.encode(tuple(arguments)),
            "seconds": ANSWER_SECONDS,
        }
        result = self._process.talk(call, 1.5 * ANSWER_SECONDS)
        if "failed" in result:
            raise Failed(str(result["failed"])[:60], str(result.get("text", ""))[:500])
        try:
            return wire.decode(result["value"])
        except (KeyError, ValueError):
            raise Failed("unreadable", "What the function returns could not be read.") from None


class _Process:
    """The notebook's process and the pipes to it; leaving the context ends it with its children."""

    def __init__(self, work: Path, library: Path, limits: Limits) -> None:
        calls, to_child = os.pipe()
        from_child, replies = os.pipe()
        command = [sys.executable, "-m", "lrmf.course.submission", "submission.ipynb"]
        command += [str(calls), str(replies)]
        # The process limits itself before it runs any cell: to do so between fork and exec is not
        # safe where there are threads, as JAX has.
        command += map(str, (limits.memory << 20, limits.file << 20, int(limits.seconds) + 10))
        self._process = subprocess.Popen(
            [*_CUT, *command] if network_can_be_cut() else command,
            cwd=work,
            env=_environment(work, library),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(calls, replies),
            start_new_session=True,
        )
        os.close(calls)
        os.close(replies)
        self._to, self._from = os.fdopen(to_child, "wb", 0), os.fdopen(from_child, "rb", 0)
        self._buffer = b""
        self.ended = False

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._to.close()
        self._from.close()

    def talk(self, call: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        """Send a call, or nothing to begin with, and return the reply; raises ``Failed``."""
        if self.ended:
            raise Failed("not run", _GONE)
        self.ended = True  # unless all goes well
        if call is not None:
            try:
                self._to.write((json.dumps(call) + "\n").encode())
            except OSError:
                raise Failed("not run", _GONE) from None
        try:
            reply = json.loads(self._line(time.monotonic() + seconds, seconds))
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise Failed("unreadable", "the notebook's process sent something that is no answer.")
        self.ended = False
        return reply

    def _line(self, until: float, seconds: float) -> bytes:
        parts, size = [self._buffer], len(self._buffer)
        while b"\n" not in parts[-1]:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise Failed("too slow", f"no answer within {seconds:g} s.")
            part = self._from.read(1 << 16)
            if not part:
                raise Failed("not run", _GONE)
            size += len(part)
            if size > LINE:
                raise Failed("unreadable", "the notebook's process sent too much.")
            parts.append(part)
        line, _, self._buffer = b"".join(parts).partition(b"\n")
        return line


_GONE = "the notebook's process ended: it used too much memory, or was told to stop."


def _environment(work: Path, library: Path) -> dict[str, str]:
    """What a notebook's process sees of the environment: of yours, only where the data lie."""
    data = {name: os.environ[name] for name in ("LRMF_DATA_DIR",) if name in os.environ}
    return data | {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(work),
        "TMPDIR": str(work),
        "PYTHONPATH": str(library),
        "IPYTHONDIR": str(work / ".ipython"),
        "MPLCONFIGDIR": str(work / ".matplotlib"),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
