"""A plugin for pytest, beside nbval: keep what the cells of a notebook put out.

nbval runs each chapter's notebook and forgets the outputs. The book needs the same outputs, so
they are kept, and a chapter is executed once for both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbCell

__all__ = ["OPTION"]

OPTION = "--record-to"
_RECORD = pytest.StashKey[dict[int, tuple[list[Any], float]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; pytest calls this."""
    parser.addoption(OPTION, type=Path, help="folder for the notebooks with their outputs")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Keep a cell's outputs; pytest calls this around each test."""
    folder = item.config.getoption(OPTION)
    if folder is None or not isinstance(item, IPyNbCell):
        return (yield)
    began = time.perf_counter()
    result = yield  # raises where the cell fails, so that half a notebook is never kept
    file = item.parent
    record = file.stash.setdefault(_RECORD, {})
    record[item.cell_num] = (list(item.test_outputs), time.perf_counter() - began)
    if len(record) == sum(cell.cell_type == "code" for cell in file.nb.cells):
        _write(folder / item.path.relative_to(item.config.rootpath), file.nb, record)
    return result


def _write(path: Path, notebook: Any, record: dict[int, tuple[list[Any], float]]) -> None:
    """Write the notebook with outputs, in one rename: another process may look for it."""
    executed = nbformat.from_dict(notebook)
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells):
        cell.outputs, cell.execution_count = record[number][0], number + 1
    executed.metadata["execution_seconds"] = sum(seconds for _, seconds in record.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    nbformat.write(executed, draft)
    draft.replace(path)
