"""Run the checks of the book's statements, and write the page that lists them.

    make statements

runs the files of ``tests/statements`` that are new or changed since the last time, all of them
where the versions or the machine changed, and with ``--fresh``. ``checks.json``, beside this
script, holds for each check its cases, its largest error, and the processor time it took. A file
with a test that fails keeps its old entries, and the command fails. ``--page`` runs nothing and
only writes the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from book.machinery.config import ROOT, Book, BookError
from book.machinery.labels import Labels
from book.machinery.statements import RESULTS, read_results, statements, write_page
from book.results.environment import environment

__all__ = ["Recorder", "main"]

FOLDER = ROOT / "tests" / "statements"
PACKAGES = ("jax", "tensorflow", "tensorflow-probability", "numpy", "scipy", "POT")


class Recorder:
    """A plugin of pytest that adds up, for each marked test, its cases, errors and seconds.

    Args:
        known: the labels of the book. Checks of others are not run: their chapter is not there yet.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self.known = set(known)
        self.checks: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.failed: set[str] = set()
        self.early: dict[str, set[str]] = {}
        self._entries: dict[str, list[dict[str, Any]]] = {}
        self._began = 0.0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            file = item.path.relative_to(ROOT).as_posix()
            name = getattr(item, "originalname", None) or item.name
            for mark in item.iter_markers("statement"):
                if mark.args[0] not in self.known:
                    self.early.setdefault(file, set()).add(mark.args[0])
                    continue
                check = {
                    "label": mark.args[0],
                    "control": bool(mark.kwargs.get("control", False)),
                    "file": file,
                    "name": name,
                    "cases": 0,
                    "error": None,
                    "seconds": 0.0,
                }
                entry = self.checks.setdefault((file, name, mark.args[0]), check)
                entry["cases"] += 1
                self._entries.setdefault(item.nodeid, []).append(entry)
        items[:] = [item for item in items if item.nodeid in self._entries]

    def pytest_runtest_logstart(self) -> None:
        self._began = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        # The processor's time: how long one waits depends on what else the machine is doing.
        spent = time.process_time() - self._began
        for entry in self._entries[nodeid]:
            entry["seconds"] += spent / len(self._entries[nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        entries = self._entries.get(report.nodeid, [])
        errors = [float(value) for name, value in report.user_properties if name == "error"]
        # A check that was skipped, or whose error is no number, checked nothing.
        bad = not report.passed or not all(math.isfinite(error) for error in errors)
        if bad:
            self.failed.add(report.nodeid.partition("::")[0])
        for entry in entries:
            if report.when == "call" and errors and not bad:
                entry["error"] = max([*errors, entry["error"] or 0.0])


def run_checks(files: Sequence[str], *, collect: bool = False) -> Recorder:
    """Run the checks in these files, or only collect them.

    Raises:
        BookError: pytest could not collect them.
    """
    recorder = Recorder(label.name for label in statements(Labels(Book.read(ROOT))))
    if not files:
        return recorder
    options = ["-q", "-p", "no:cacheprovider", *(["--collect-only", "-qq"] if collect else [])]
    code = pytest.main([*options, *(str(ROOT / file) for file in files)], plugins=[recorder])
    fine = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if code not in fine:
        raise BookError(f"pytest ended with {code!r}")
    return recorder


def digests() -> dict[str, str]:
    """Return the hash of each file with checks, and of what it imports from beside it."""
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(_with_imports(path)).hexdigest()
        for path in sorted(FOLDER.glob("test_*.py"))
    }


def _with_imports(path: Path) -> bytes:
    text = path.read_text(encoding="utf8")
    names = re.findall(r"^(?:from|import) (\w+)", text, flags=re.MULTILINE)
    beside = [FOLDER / f"{name}.py" for name in names if (FOLDER / f"{name}.py").is_file()]
    return b"".join([text.encode(), *(_with_imports(other) for other in beside)])


def updated(old: dict[str, Any], recorder: Recorder, ran: Sequence[str]) -> dict[str, Any]:
    """Put the new entries of the files that passed in the place of the old ones."""
    current = digests()
    passed = {file for file in ran if file not in recorder.failed}
    checks = [c for c in old["checks"] if c["file"] in current and c["file"] not in passed]
    for check in recorder.checks.values():
        if check["file"] in passed:
            error = check["error"]
            error = None if error is None else float(f"{error:.2g}")
            checks.append({**check, "error": error, "seconds": round(check["seconds"], 2)})
    # A file that is ahead of its chapter runs again the next time.
    kept = {name: digest for name, digest in old["files"].items() if name in current}
    new = {name: current[name] for name in passed - recorder.early.keys()}
    return {
        "command": "make statements",
        "environment": environment(PACKAGES),
        "seconds": round(sum(check["seconds"] for check in checks), 1),
        "files": dict(sorted({**kept, **new}.items())),
        "checks": sorted(checks, key=lambda check: check["file"]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where a check failed."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--fresh", action="store_true", help="run all files")
    group.add_argument("--page", action="store_true", help="run nothing, write the page")
    group.add_argument("--collect", type=Path, help="run nothing, write the checks there are to it")
    options = parser.parse_args(arguments)
    current = digests()
    if options.collect:
        checks = list(run_checks(list(current), collect=True).checks.values())
        options.collect.write_text(json.dumps(checks), encoding="utf8")
        return 0
    try:
        failed: set[str] = set()
        if not options.page:
            old: dict[str, Any] = {"files": {}, "checks": []}
            if RESULTS.is_file() and not options.fresh:
                saved = read_results()
                old = saved if saved["environment"] == environment(PACKAGES) else old
            stale = [name for name, digest in current.items() if old["files"].get(name) != digest]
            recorder = run_checks(stale)
            failed = recorder.failed
            document = updated(old, recorder, stale)
            RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf8")
            print(f"{len(document['checks'])} checks, {document['seconds']:.0f} s")
            for file, labels in sorted(recorder.early.items()):
                print(f"left out: {file} checks {', '.join(sorted(labels))}, not in the book")
        print(f"wrote {write_page().relative_to(ROOT)}")
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for file in sorted(failed):
        print(f"error: {file} has a check that failed; its old entries stay", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
