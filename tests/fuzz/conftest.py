"""Two sizes: of seconds with every run of the tests, and for the weekly workflow.

``pytest tests/fuzz --hypothesis-profile=long`` runs the latter and prints what happened how often.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

# POT imports every array library that it finds; these tests only give it NumPy arrays.
os.environ.setdefault("POT_BACKEND_DISABLE_TENSORFLOW", "1")
os.environ.setdefault("POT_BACKEND_DISABLE_JAX", "1")

SHARED = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", max_examples=25, derandomize=True, **SHARED)
settings.register_profile("long", max_examples=1500, print_blob=True, **SHARED)
# For finding many faults at once: they are written to the file FUZZ_COLLECT, not raised.
settings.register_profile(
    "collect",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "8000")),
    phases=[Phase.generate],
    **SHARED,
)
settings.load_profile("short")


def pytest_sessionfinish(session):
    from outcomes import COUNTS

    if hasattr(session.config, "workeroutput"):  # of pytest-xdist
        session.config.workeroutput["outcomes"] = [[*key, n] for key, n in COUNTS.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    from outcomes import COUNTS

    output = getattr(node, "workeroutput", {})
    COUNTS.update({(subject, kind): n for subject, kind, n in output.get("outcomes", ())})


def pytest_terminal_summary(terminalreporter):
    from outcomes import COUNTS

    if settings().max_examples < 100:
        return
    kinds = sorted({kind for _, kind in COUNTS})
    terminalreporter.section(f"{sum(COUNTS.values())} calls by outcome")
    terminalreporter.line(f"{'':36}" + "".join(f"{kind:>16}" for kind in kinds))
    for subject in sorted({subject for subject, _ in COUNTS}):
        numbers = "".join(f"{COUNTS[subject, kind]:>16}" for kind in kinds)
        terminalreporter.line(f"{subject:36}{numbers}")
