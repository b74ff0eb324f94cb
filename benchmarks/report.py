"""From the measurements to budgets, text and one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.training import summary

__all__ = ["KEYS", "budgets", "plain", "summarised", "text", "write"]

KEYS = (
    "date",
    "command",
    "machine",
    "versions",
    "unavailable",
    "training",
    "continuous",
    "scaling",
    "matching",
    "moons",
    "imports",
    "budgets",
)
"""Top-level names of the result file."""

IMPORT_SECONDS = 0.2
MOONS_SECONDS = {"jax": 10.0, "tfp": 20.0}
JUDGE_SECONDS = 10.0
ADDED_MEMORY = 1e9
RATIOS = (
    ("lrmf-jax", 64, 6.0),
    ("lrmf-tfp", 64, 4.0),
    ("lrmf-tfp", 512, 1.0),
)
"""How many times the speed of normflows, by hidden width."""

GLOW_RATIO = 1.5
"""How many times the steps of normflows in a second of one core, of LRMF with Glow."""

BUSY = 0.25


def budgets(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each budget that this run has figures for: what was asked, what was measured, met or not.

    Medians decide; ratios and shares are taken round by round before their median.
    """
    found = []
    if "lrmf" in document["imports"]:
        median = document["imports"]["lrmf"]["import_seconds"]["median"]
        found.append(_at_most("import lrmf", IMPORT_SECONDS, median, "s"))
        heavy = document["imports"]["lrmf"]["heavy"]
        found.append(
            {
                "what": "import lrmf loads neither JAX nor TensorFlow",
                "budget": "none",
                "measured": ", ".join(heavy) or "none",
                "met": not heavy,
            }
        )
    by_width = {entry["hidden"]: entry["peers"] for entry in plain(document["training"])}
    for name, hidden, factor in RATIOS:
        peers = by_width.get(hidden, {})
        if name in peers and "normflows" in peers:
            ratio = peers[name]["ratio_to"]["normflows"]["median"]
            found.append(_at_least(f"{name} to normflows, hidden {hidden}", factor, ratio, "x"))
    glows = document.get("images", {}).get("speed", {}).get("peers", {})
    if {"lrmf-jax", "normflows"} <= glows.keys():
        ratio = glows["lrmf-jax"]["steps_per_cpu_second"]["ratio_to_normflows"]["median"]
        what = "lrmf-jax to normflows, Glow of 16 × 16 pixels"
        found.append(_at_least(what, GLOW_RATIO, ratio, "x"))
    if "lrmf-jax" in by_width.get(512, {}):
        share = 100.0 * by_width[512]["lrmf-jax"]["share_on_own_shapes"]["median"]
        what = "lrmf-jax, share of the rate on its own shapes, hidden 512"
        found.append(_at_least(what, 90.0, share, "%"))
    scaling = document.get("scaling") or {"judge": {}, "transform": {}}
    if "5000" in scaling["judge"]:
        seconds = scaling["judge"]["5000"]["seconds"]["median"]
        what = "lrmf.lrd of 5,000 + 5,000 points in 16 dimensions"
        found.append(_at_most(what, JUDGE_SECONDS, seconds, "s"))
    for backend, rows in scaling["transform"].items():
        memory = rows["1000000"]["added_memory_bytes"]["max"] / 1e9
        what = f"memory that a million rows on disk add, {backend}"
        found.append(_at_most(what, ADDED_MEMORY / 1e9, memory, "GB"))
    for backend, runs in document["moons"].items():
        wall = runs["wall_seconds"]["median"]
        what = f"moons, cold process to certificate, {backend}"
        found.append(_at_most(what, MOONS_SECONDS[backend], wall, "s"))
        verdicts = runs["verdicts"]
        aligned = sum(verdict.startswith("aligned") for verdict in verdicts)
        found.append(
            {
                "what": f"moons certified as aligned, {backend}",
                "budget": f"{len(verdicts)} of {len(verdicts)}",
                "measured": f"{aligned} of {len(verdicts)}",
                "met": aligned == len(verdicts),
            }
        )
    return found


def plain(training: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The entries of two features and 256 + 256 points, which differ in hidden width."""
    return [e for e in training if (e["features"], e["batch"]) == (2, 256)]


def text(document: Mapping[str, Any]) -> str:
    """Lay out the report as it is printed."""
    machine = document["machine"]
    load = machine["load_average_before"]
    busy = load > BUSY * machine["cores"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, NumPy's BLAS: {machine['blas']}",
        f"load before the run: {load:.2f}{' (BUSY: do not trust these figures)' if busy else ''}",
    ]
    if document["unavailable"]:
        lines.append(f"not installed, not timed: {', '.join(document['unavailable'])}")
    for entry in document["training"]:
        lines += ["", *_training(entry)]
    if document["continuous"]:
        lines += ["", "FFJORD LRMF, two blocks of (16, 16, 16), batch 256+256: median (min-max)"]
    for backend, entry in document["continuous"].items():
        lines.append(
            f"  {backend:<6} {_spread(entry['steps_per_second'], '.1f')} steps/s at tolerance "
            f"{entry['tolerance']:g}, compiled in {_spread(entry['compile_seconds'], '.1f')} s"
        )
    lines += _scaling(document["scaling"])
    if document["matching"]:
        lines += ["", "moons, from two samples to a map: median (min-max)"]
    for method, own in document["matching"].items():
        lines.append(
            f"  {method:<16} fit {_spread(own['fit_seconds'], '.1f')} s, "
            f"lrd {_spread(own['lrd'], '.3f')}, labels {_spread(own['labels'], '.3f')}"
        )
    if document["moons"]:
        lines += ["", "moons, cold process to certificate: median (min-max)"]
    for backend, runs in document["moons"].items():
        memory = runs["peak_memory_bytes"]["max"] / 1e9
        lines.append(
            f"  {backend:<6} {_spread(runs['wall_seconds'], '.1f')} s"
            f" (fit {runs['fit_seconds']['median']:.1f} s), peak memory {memory:.2f} GB"
        )
        lines += [f"         {verdict}" for verdict in runs["verdicts"]]
    if document["imports"]:
        lines += ["", "import statement in a fresh process: median (min-max)"]
    for module, found in document["imports"].items():
        lines.append(
            f"  {module:<6} {_spread(found['import_seconds'], '.3f')} s"
            f" (whole process {found['wall_seconds']['median']:.3f} s)"
        )
    lines += ["", "budgets"]
    for budget in document["budgets"]:
        verdict = "met" if budget["met"] else "NOT met"
        lines.append(
            f"  {budget['what']}: budget {budget['budget']}: {budget['measured']} {verdict}"
        )
    return "\n".join(lines)


def write(document: Mapping[str, Any], folder: Path) -> Path:
    """Write the document to `folder`, named after its date; return the file.

    Raises:
        ValueError: If the document lacks one of `KEYS`, has another, or holds a number that is
            not finite.
    """
    if set(document) != set(KEYS):
        difference = sorted(set(document) ^ set(KEYS))
        raise ValueError(f"the result file must have exactly {KEYS}; check {difference}.")
    content = json.dumps(document, indent=1, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{document['date'].replace(':', '')}.json"
    path.write_text(content, encoding="utf-8")
    return path


def summarised(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Median, min and max of each named figure, with the figures of the runs."""
    found = {}
    for name in names:
        values = [run[name] for run in runs]
        found[name] = {"runs": values, **summary(values)}
    return found


def _training(entry: Mapping[str, Any]) -> list[str]:
    batch, own = entry["batch"], _spread(entry["matmul"]["on_own_shapes"], ".0f", 1e-9)
    difference = entry["largest_relative_loss_difference"]
    size = f"hidden {entry['hidden']}, {entry['features']} features"
    lines = [
        f"RealNVP LRMF, {size}, {entry['blocks']} blocks, batch {batch}+{batch}",
        f"  {entry['parameters']:,} parameters, {entry['flops_per_step'] / 1e9:.3f} GFLOP a step",
        f"  same work asserted: losses differ by a relative {difference:.0e} at most",
        f"  float32 matrix products of the step's own shapes, called singly: {own} GFLOP/s",
    ]
    row = "  {:<10}{:>27}{:>12}{:>9}{:>12}{:>10}"
    columns = ("steps/s: median (min-max)", "x normflows", "GFLOP/s", "own shapes")
    lines.append(row.format("", *columns, "memory"))
    for name, peer in entry["peers"].items():
        speed = peer["steps_per_second"]
        ratio = peer["ratio_to"].get("normflows")
        rate = speed["median"] * entry["flops_per_step"] / 1e9
        cells = (
            name,
            _spread(speed, ",.1f"),
            format(ratio["median"], ".2f") if ratio else "-",
            format(rate, ".1f"),
            format(peer["share_on_own_shapes"]["median"], ".0%"),
            format(peer["peak_memory_bytes"] / 1e9, ".2f") + " GB",
        )
        lines.append(f"{row.format(*cells)}  {PEERS[name].description}")
    return lines


def _scaling(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for backend, rows in found.get("transform", {}).items():
        lines += ["", f"transform of rows on disk, {backend}: median (min-max)"]
        lines += [
            f"  {int(n):>9,} rows {_spread(own['seconds'], '.2f')} s, "
            f"{own['added_memory_bytes']['max'] / 1e9:.2f} GB more"
            for n, own in rows.items()
        ]
    if found.get("judge"):
        lines += ["", "lrmf.lrd in 16 dimensions: median (min-max)"]
    lines += [
        f"  {int(n):>7,} + {int(n):,} points {_spread(own['seconds'], '.1f')} s"
        for n, own in found.get("judge", {}).items()
    ]
    if found.get("devices"):
        lines += ["", "hidden 512, batch 4096+4096, JAX: median (min-max)"]
    lines += [
        f"  {count} {own['kind']} devices {_spread(own['steps_per_second'], '.1f')} steps/s"
        for count, own in found.get("devices", {}).items()
    ]
    return lines


def _spread(values: Mapping[str, float], style: str, scale: float = 1.0) -> str:
    median, least, greatest = (
        format(scale * values[name], style) for name in ("median", "min", "max")
    )
    return f"{median} ({least}-{greatest})"


def _at_least(what: str, budget: float, measured: float, unit: str) -> dict[str, Any]:
    return _budget(what, ">=", budget, measured, unit, met=measured >= budget)


def _at_most(what: str, budget: float, measured: float, unit: str) -> dict[str, Any]:
    return _budget(what, "<=", budget, measured, unit, met=measured <= budget)


def _budget(
    what: str, sign: str, budget: float, measured: float, unit: str, *, met: bool
) -> dict[str, Any]:
    space = " " if unit in ("s", "GB") else ""
    return {
        "what": what,
        "budget": f"{sign} {budget:g}{space}{unit}",
        "measured": f"{measured:.3g}{space}{unit}",
        "met": met,
    }
