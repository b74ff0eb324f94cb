"""Write the page of the benchmarks from the newest file of ``make bench``.

``python -m book.machinery.benchmarks_page``; a test fails when the page is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from book.machinery.config import ROOT

__all__ = ["RESULTS", "TARGET", "main", "newest", "page_text"]

RESULTS = ROOT / "benchmarks" / "results"
TARGET = ROOT / "book" / "library" / "benchmarks.md"

_NAMES = {
    "lrmf-jax": "lrmf, JAX",
    "lrmf-tfp": "lrmf, TFP",
    "tfp-loop": "TFP, a loop by hand",
    "normflows": "normflows (PyTorch)",
    "zuko": "zuko (PyTorch)",
}


def newest() -> Path:
    """The last result file; their names are dates."""
    return max(RESULTS.glob("*.json"), key=lambda path: path.name)


def page_text(found: Mapping[str, Any]) -> str:
    """The page's text from a result document."""
    machine, versions = found["machine"], found["versions"]
    peers = [name for name in _NAMES if any(name in t["peers"] for t in found["training"])]
    lines = [
        "(sec-benchmarks)=",
        "# Benchmarks",
        "",
        (
            "*In short.* How fast the library is, beside others, on the same model and the same "
            "machine. No number on this page was typed: `make bench` measures, "
            "`python -m book.machinery.benchmarks_page` writes the page from its newest file."
        ),
        "",
        (
            f"Measured on {found['date'][:10]} by `{found['command']}` on {machine['cores']} cores "
            f"({machine['processor']}), {machine['memory_bytes'] / 2**30:.0f} GiB of memory, "
            f"without a GPU. JAX {versions['jax']}, TensorFlow {versions['tensorflow']}, "
            f"PyTorch {versions.get('torch', '-')}, normflows {versions.get('normflows', '-')}, "
            f"zuko {versions.get('zuko', '-')}, lrmf {versions['lrmf']}."
        ),
        "",
        "## Training steps",
        "",
        (
            "One step of LRMF: a RealNVP map of four blocks, a RealNVP density, 256 + 256 points "
            "of two features, Adam. All five start from the same arrays, see the same batches, and "
            "have the same loss up to rounding. Steps a second, median of rounds that take turns; "
            "in parentheses the peak memory."
        ),
        "",
        "| hidden units (parameters) | " + " | ".join(_NAMES[name] for name in peers) + " |",
        "| --- |" + " ---: |" * len(peers),
    ]
    for entry in found["training"]:
        cells = []
        for name in peers:
            own = entry["peers"].get(name)
            cells.append(
                f"{own['steps_per_second']['median']:,.0f} "
                f"({own['peak_memory_bytes'] / 1e9:.1f} GB)"
                if own
                else "not run"
            )
        head = f"{entry['hidden']} × {entry['hidden']} ({entry['parameters']:,})"
        lines.append(f"| {head} | {' | '.join(cells)} |")
    lines += [
        "",
        "At the widest network arithmetic rules, and the differences shrink: of the rate that "
        "matrix products of the step's own shapes reach, ours takes "
        + ", ".join(f"{_share(entry):.0%} at {entry['hidden']}" for entry in found["training"])
        + " hidden units in JAX.",
        "",
        "## From a cold process to a verdict",
        "",
        (
            "Two thousand points a side of the moons, aligned with the defaults and judged, with "
            "import and compilation."
        ),
        "",
        "| backend | seconds | peak memory |",
        "| --- | ---: | ---: |",
    ]
    for backend, own in found["moons"].items():
        memory = own["peak_memory_bytes"]["median"] / 1e9
        lines.append(f"| {backend} | {own['wall_seconds']['median']:.1f} | {memory:.1f} GB |")
    imported = found["imports"]["lrmf"]["import_seconds"]["median"]
    met = sum(budget["met"] for budget in found["budgets"])
    lines += [
        "",
        f"`import lrmf` takes {1000 * imported:.1f} ms and loads neither JAX nor TensorFlow.",
        "",
        "## Our budgets",
        "",
        f"What we ask of ourselves, and what came out: {met} of {len(found['budgets'])} are met.",
        "",
        "| what | budget | measured | met |",
        "| --- | --- | --- | --- |",
    ]
    for budget in found["budgets"]:
        yes = "yes" if budget["met"] else "**no**"
        lines.append(f"| {budget['what']} | {budget['budget']} | {budget['measured']} | {yes} |")
    lines += [
        "",
        (
            "Not measured yet: other batch sizes and dimensions, several devices, a GPU, and flow "
            "matching."
        ),
        "",
    ]
    return "\n".join(lines)


def _share(entry: Mapping[str, Any]) -> float:
    return float(entry["peers"]["lrmf-jax"]["share_on_own_shapes"]["median"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    found = json.loads(newest().read_text(encoding="utf8"))
    TARGET.write_text(page_text(found), encoding="utf8")
    print(f"wrote {TARGET.relative_to(ROOT)} from {newest().name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
