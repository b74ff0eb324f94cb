"""A plugin of pytest for runs on a mutated copy: which lrmf is tested, and what failed first."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

_seen: dict[str, Any] = {"ran": 0, "failed": ""}


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test another lrmf than the copy's, such as an installed one."""
    found = importlib.util.find_spec("lrmf")
    origin = "" if found is None else str(found.origin)
    if not Path(origin).is_relative_to(config.rootpath):
        raise pytest.UsageError(f"the tests would import {origin}, not the lrmf of the copy")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests that ran, and keep the first one that failed."""
    if report.failed and not _seen["failed"]:
        _seen["failed"] = report.nodeid
    if report.failed or (report.when == "call" and not report.skipped):
        _seen["ran"] += 1


def pytest_sessionfinish() -> None:
    """Leave a report for the process that started this one."""
    Path(os.environ["LRMF_MUTANT_REPORT"]).write_text(json.dumps(_seen))
