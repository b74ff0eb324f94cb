"""Regenerate the results of "A first real pair": ``python -m book.results.first_real_pair``.

``runs.json``, beside this script, holds settings, versions, hardware and the numbers of each run.
It is written anew after each one, so an interrupted command goes on where it stopped. ``--fresh``
starts over; ``--list`` names the runs; ``--steps 20`` makes them tiny and writes elsewhere.

Runs: the held-out likelihood of MNIST for several numbers of components and widths of the network,
LRMF in several numbers of components, LRMF with more steps, and the distance of digits that were
shrunk by hand; each with several seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from book.results.environment import environment
from book.results.first_real_pair.experiments import runs

__all__ = ["load", "main"]

FOLDER = Path(__file__).parent
PACKAGES = ("jax", "optax", "numpy", "scipy", "scikit-learn")


def load(folder: Path = FOLDER) -> dict[str, Any]:
    """Read the file."""
    file = folder / "runs.json"
    return json.loads(file.read_text(encoding="utf8")) if file.is_file() else {"runs": {}}


def save(document: dict[str, Any], folder: Path) -> None:
    """Write the file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "runs.json.new"
    new.write_text(json.dumps(rounded(document), indent=1) + "\n", encoding="utf8")
    new.replace(folder / "runs.json")


def rounded(value: Any) -> Any:
    """Six digits are more than any number here has."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--fresh", action="store_true", help="start over")
    parser.add_argument("--list", action="store_true", help="name the runs and what is done")
    parser.add_argument("--steps", type=int, help="tiny runs, written to a temporary folder")
    options = parser.parse_args(arguments)
    folder = FOLDER
    if options.steps:
        folder = Path(tempfile.mkdtemp(prefix="first_real_pair-"))
    document = {"runs": {}} if options.fresh else load(folder)
    made = document["runs"]
    planned = list(runs(options.steps))
    for run in planned:
        if run.name in made and made[run.name]["settings"] != run.settings:
            print(f"{run.name} was made with other settings: use --fresh", file=sys.stderr)
            return 1
        if options.list:
            print(f"{'made' if run.name in made else 'to do':6} {run.name}")
    if options.list:
        return 0
    document = {
        "command": "python -m book.results.first_real_pair",
        "environment": environment(PACKAGES),
        "seconds": document.get("seconds", 0.0),
        "runs": made,
    }
    for run in planned:
        if run.name in made:
            continue
        began = time.perf_counter()
        numbers = run.compute(**run.settings)
        document["seconds"] = round(document["seconds"] + time.perf_counter() - began, 1)
        made[run.name] = {"settings": run.settings, **numbers}
        save(document, folder)
        print(run.name, json.dumps(rounded(numbers)), flush=True)
    print(f"{folder}: {document['seconds']:.0f} s for {len(made)} runs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
