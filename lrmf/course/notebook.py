"""Run the student's own notebook from the top, in a process of its own."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from lrmf.course.report import Report

__all__ = ["NotebookReport", "check_notebook"]


class NotebookReport(list[Report]):
    """The reports of all tasks that a notebook checks; ``errors`` are those of its cells."""

    def __init__(self, reports: tuple[Report, ...], errors: tuple[str, ...], problem: str) -> None:
        super().__init__(reports)
        self.errors, self.problem = errors, problem

    def __repr__(self) -> str:
        done = sum(report.passed for report in self)
        lines = [f"{done} of {len(self)} tasks are right when the notebook runs from the top."]
        lines += [self.problem] if self.problem else []
        lines += [
            "✓ " + report.name if report else f"✗ {report.name}: {report.text}" for report in self
        ]
        if self.errors:
            lines.append("Cells that raised an error, so that later ones may miss something:")
            lines += [f"  {error}" for error in self.errors]
        return "\n".join(lines)


def check_notebook(path: str | os.PathLike[str] | None = None) -> NotebookReport:
    """Run a notebook from the top in a fresh process, and check its answers.

    Cells that only work in the order in which they happened to be run, or with a variable whose
    cell is gone, show here. The notebook that you work in is found in Colab and JupyterLab; save it
    first. It runs under the limits of :mod:`lrmf.course.running`, which needs Linux or macOS.

    Args:
        path: the notebook's file, where it is not found.

    Raises:
        ImportError: on Windows.
        ValueError: it is not found, is no notebook, or checks none of the course's tasks.

    >>> from lrmf import course
    >>> course.check_notebook("flows_of_mine.ipynb")  # a file that is not there
    Traceback (most recent call last):
    ValueError: flows_of_mine.ipynb is not a notebook that can be read: ...
    """
    from lrmf.course.assignments import TASKS

    try:
        from lrmf.course.running import Limits, run_notebook
    except ImportError as error:  # the limits of a process are those of Unix
        raise ImportError(
            f"check_notebook needs Linux or macOS ({error}). Elsewhere restart the kernel and run "
            "all cells."
        ) from error

    with tempfile.TemporaryDirectory() as folder:
        file = Path(path) if path is not None else _own(Path(folder))
        try:
            document = json.loads(file.read_text(encoding="utf8"))
            text = "\n".join(
                "".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{file} is not a notebook that can be read: {error}") from None
        names = tuple(name for name in TASKS if f'"{name}"' in text or f"'{name}'" in text)
        if not names:
            raise ValueError(f"{file} checks no task of the course")
        outcome = run_notebook(file, names=names, limits=Limits())
    return NotebookReport(outcome.reports, outcome.errors, outcome.problem)


def _own(folder: Path) -> Path:
    """Find the notebook in which this is called."""
    try:
        from google.colab import _message  # type: ignore[import-untyped]
    except ImportError:
        name = os.environ.get("JPY_SESSION_NAME", "")
        for candidate in (Path(name), Path.cwd() / Path(name).name):
            if name and candidate.is_file():
                return candidate
        raise ValueError(
            "cannot find out which notebook this is; pass its path: "
            "course.check_notebook('flows.ipynb')"
        ) from None
    reply: Any = _message.blocking_request("get_ipynb", timeout_sec=30)
    file = folder / "notebook.ipynb"
    file.write_text(json.dumps(reply["ipynb"]), encoding="utf8")
    return file
