"""``make mutants``: put each fault of the list into a copy of the library and run its tests.

The tests of a mutant first run on an unchanged copy, where they must pass. A mutant is killed when
one of them then fails. Exit code 1 says that one survived, 2 that an entry of the list is wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.mutants import (
    aligners,
    around,
    backends,
    couplings,
    course,
    estimators,
    files,
    formulas,
    images,
    judging,
    learning,
    meshes,
    specs,
    units,
)
from tests.mutants.runner import ROOT, Mutant, Outcome, check_unchanged, examine, faults_of

__all__ = ["ALL", "main"]

ALL = tuple(
    mutant
    for part in (
        specs,
        couplings,
        backends,
        learning,
        files,
        aligners,
        estimators,
        formulas,
        images,
        judging,
        units,
        course,
        around,
        meshes,
    )
    for mutant in part.MUTANTS
)


def main(arguments: Sequence[str] | None = None, mutants: Sequence[Mutant] = ALL) -> int:
    """Run the command; its exit code."""
    options = _parser().parse_args(arguments)
    if faults := faults_of(mutants, options.root):
        print(*faults, sep="\n")
        return 2
    chosen = [m for m in mutants if options.only is None or options.only.search(m.name)]
    if not chosen:
        print(f"no mutant's name matches {options.only.pattern!r}")
        return 2
    if options.list:
        print(*(f"{m.name}  [{m.file}: {' '.join(m.tests)}]" for m in chosen), sep="\n")
        return 0
    began = time.perf_counter()
    with ThreadPoolExecutor(max_workers=options.workers) as pool:
        try:
            outcomes = _outcomes(pool, chosen, options)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    outcomes.sort(key=lambda outcome: [m.name for m in chosen].index(outcome.name))
    if options.json is not None:
        rows = [dataclasses.asdict(outcome) for outcome in outcomes]
        options.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    found = {
        verdict: [outcome for outcome in outcomes if outcome.verdict == verdict]
        for verdict in ("killed", "survived", "error")
    }
    print(
        f"\n{len(found['killed'])} of {len(outcomes)} mutants killed, {len(found['survived'])} "
        f"survived, {len(found['error'])} entries wrong, in {time.perf_counter() - began:.0f} s"
    )
    for outcome in found["survived"]:
        print(f"survived: {outcome.name}")
    for outcome in found["error"]:
        print(f"wrong: {outcome.name}: {outcome.detail}")
    return 1 if found["survived"] else 2 if found["error"] else 0


def _outcomes(
    pool: ThreadPoolExecutor, chosen: Sequence[Mutant], options: argparse.Namespace
) -> list[Outcome]:
    """Examine all mutants, those of a set of tests as soon as that set has passed unchanged."""
    groups: dict[tuple[str, ...], list[Mutant]] = {}
    for mutant in chosen:
        groups.setdefault(mutant.tests, []).append(mutant)
    outcomes: list[Outcome] = []

    def put(outcome: Outcome) -> None:
        outcomes.append(outcome)
        told = outcome.test or outcome.detail
        print(f"{outcome.verdict:9}{outcome.seconds:6.1f} s  {outcome.name}  [{told}]", flush=True)

    def submit(group: list[Mutant]) -> list:
        place = {"root": options.root, "timeout": options.timeout}
        return [pool.submit(examine, mutant, **place) for mutant in group]

    waiting = []
    if options.trust:
        waiting = [future for group in groups.values() for future in submit(group)]
    else:
        checks = {pool.submit(check_unchanged, t, root=options.root): t for t in groups}
        for check in as_completed(checks):
            tests = checks[check]
            fault, seconds = check.result()
            print(f"{'unchanged':9}{seconds:6.1f} s  {' '.join(tests)}", flush=True)
            if fault:
                for mutant in groups[tests]:
                    put(Outcome(mutant.name, "error", seconds, detail=fault))
            else:
                waiting += submit(groups[tests])
    for future in as_completed(waiting):
        put(future.result())
    return outcomes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "--only", metavar="PATTERN", type=re.compile, help="mutants whose name matches"
    )
    parser.add_argument("--workers", type=int, default=1, help="how many copies at a time")
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds that a mutant's tests may take"
    )
    parser.add_argument(
        "--trust", action="store_true", help="skip the runs of the tests on an unchanged copy"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the outcomes to a file")
    parser.add_argument("--list", action="store_true", help="list the mutants and stop")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
