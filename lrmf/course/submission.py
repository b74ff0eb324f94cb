"""The process of a submission: run a notebook's cells, then answer the calls of its checks.

``python -m lrmf.course.submission NOTEBOOK`` is started by :mod:`lrmf.course.running`, which holds
the checks. Nothing here knows what a right answer is: what a submission changes in this process, or
in its copy of the library, changes what it answers and not how it is judged.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]

# A cell that installs has done so already.
SKIPPED = ("# @title Install the library",)


def main(arguments: list[str]) -> None:
    """Run the notebook; then read calls from the pipe, one a line, and write results."""
    notebook, read, write, *limits = arguments
    _limit(*map(int, limits))
    lines, out = os.fdopen(int(read)), os.fdopen(int(write), "w")
    from lrmf import course
    from lrmf.course import wire
    from lrmf.course.containment import Answer, Failed, plain

    answers: dict[str, Any] = {}

    def record(name: str, answer: Any) -> str:
        answers[str(name)] = answer
        return f"{name}: recorded"

    course.check = record  # type: ignore[assignment]
    course.check_notebook = lambda path=None: None  # type: ignore[assignment,return-value]
    errors = _run(_cells(Path(notebook)))
    values = {
        name: {"callable": True} if callable(a) else {"value": _packed(a, plain, wire)}
        for name, a in answers.items()
    }
    print(json.dumps({"errors": errors, "answers": values}), file=out, flush=True)
    contained: dict[str, Answer] = {}
    for line in lines:
        call = json.loads(line)
        name, seconds = call["name"], call["seconds"]
        answer = contained.setdefault(name, Answer(answers[name], seconds))
        try:
            result = {"value": wire.encode(answer(*wire.decode(call["arguments"])))}
        except Failed as failed:
            result = {"failed": failed.diagnosis, "text": str(failed)}
        print(json.dumps(result), file=out, flush=True)


def _limit(memory: int, file: int, seconds: int) -> None:
    """Bound this process: bytes of memory and of a file, seconds of a processor."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _packed(answer: Any, plain: Callable[[Any], Any], wire: Any) -> str:
    try:
        return str(wire.encode(plain(answer)))
    except Exception:
        return str(wire.encode(None))


def _cells(path: Path) -> list[str]:
    document = json.loads(path.read_text(encoding="utf8"))
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    return ["" if source.startswith(SKIPPED) else source for source in sources]


def _run(cells: list[str]) -> list[str]:
    """Run all cells as a notebook does; an error ends its cell, not the notebook."""
    os.environ["MPLBACKEND"] = "agg"
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    # %matplotlib, %pip: nothing to do here.
    shell.run_line_magic = lambda *_, **__: None  # type: ignore[method-assign]
    errors = []
    for number, source in enumerate(cells, start=1):
        result = shell.run_cell(source, store_history=False)
        error = result.error_in_exec or result.error_before_exec
        if error is not None:
            errors.append(f"code cell {number}: {type(error).__name__}: {str(error)[:300]}")
    return errors


if __name__ == "__main__":
    main(sys.argv[1:])
