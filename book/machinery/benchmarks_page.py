"""Write the page of the benchmarks from the newest file of ``make bench``.

``python -m book.machinery.benchmarks_page``; a test fails when the page is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import budgets, plain
from book.machinery.config import ROOT

__all__ = ["RESULTS", "TARGET", "document", "main", "page_text"]

RESULTS = ROOT / "benchmarks" / "results"
TARGET = ROOT / "book" / "library" / "benchmarks.md"

_NAMES = {
    "lrmf-jax": "lrmf, JAX",
    "lrmf-tfp": "lrmf, TFP",
    "tfp-loop": "TFP, a loop by hand",
    "normflows": "normflows (PyTorch)",
    "zuko": "zuko (PyTorch)",
}


def document(folder: Path = RESULTS) -> dict[str, Any]:
    """The last result file, with what was measured by itself.

    That is the last of each comparison of ``python -m benchmarks.images``, and flow matching
    (``--output benchmarks/results/matching``) where it is newer. The files' names are dates.
    """
    newest = max(folder.glob("*.json"), key=lambda path: path.name)
    found = _read(newest)
    for path in sorted((folder / "matching").glob("*.json")):
        run = _read(path)
        if path.name > newest.name and run["matching"]:
            found |= {"matching": run["matching"], "matching_date": run["date"]}
    images: dict[str, Any] = {}
    for path in sorted((folder / "images").glob("*.json")):
        run = _read(path)
        made = {key: run[key] for key in ("date", "machine")}
        images |= {key: made | run[key] for key in ("speed", "bits") if key in run}
    return found | ({"images": images} if images else {})


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
    return read


def page_text(found: Mapping[str, Any]) -> str:
    """The page's text from a result document."""
    lines = [*_head(found), *_training(found)]
    lines += [*_devices(found), *_images(found), *_rows(found), *_matching(found)]
    lines += [*_cold(found), *_budgets(found)]
    return "\n".join(lines)


def _head(found: Mapping[str, Any]) -> list[str]:
    machine, versions = found["machine"], found["versions"]
    others = (("PyTorch", "torch"), ("normflows",) * 2, ("zuko",) * 2, ("ott-jax",) * 2)
    beside = [f"{name} {versions[key]}" for name, key in others if versions.get(key)]
    return [
        "(sec-benchmarks)=",
        "# Benchmarks",
        "",
        (
            "*In short.* How fast the library is, beside others, on the same model and the same "
            "machine, and how time and memory grow. No number on this page was typed: `make bench` "
            "measures and writes the page; its part on images comes from `python -m "
            "benchmarks.images`."
        ),
        "",
        (
            f"Measured on {found['date'][:10]} by `{found['command']}` on {machine['cores']} cores "
            f"({machine['processor']}), {machine['memory_bytes'] / 2**30:.0f} GiB of memory, "
            f"without a GPU. JAX {versions['jax']}, TensorFlow {versions['tensorflow']}, "
            f"{', '.join(beside)}, lrmf {versions['lrmf']}."
        ),
        "",
    ]


def _training(found: Mapping[str, Any]) -> list[str]:
    """Steps a second, by whatever varies from the usual size."""
    training = found["training"]
    usual = plain(training)
    features = [e for e in training if e["batch"] == 256 and e["hidden"] == usual[0]["hidden"]]
    batches = [e for e in training if e["features"] == 2 and e["hidden"] == usual[0]["hidden"]]
    lines = [
        "## Training steps",
        "",
        (
            "One step of LRMF: a RealNVP map of four blocks, a RealNVP density, 256 + 256 points "
            "of two features, Adam. All start from the same arrays, see the same batches, and "
            "have the same loss up to rounding. Steps a second, median of rounds that take turns; "
            "in parentheses the peak memory."
        ),
        "",
        *_table(
            "hidden units (parameters)",
            usual,
            lambda e: f"{e['hidden']} × {e['hidden']} ({e['parameters']:,})",
        ),
        "",
        "At the widest network arithmetic rules, and the differences shrink. A step's matrix "
        "products need so many operations; the share is how many of them a second are done, of "
        "those that NumPy, JAX or TensorFlow, whichever is fastest, does in products of the step's "
        "own shapes and nothing else. In JAX it is "
        + ", ".join(f"{_share(entry):.0%} at {entry['hidden']}" for entry in usual)
        + " hidden units. The two are measured one after the other, on a machine whose speed "
        "varies, so that a share may exceed 100%.",
        "",
    ]
    width = usual[0]["hidden"]
    if len(features) > 1:
        lines += [f"With {width} hidden units, more features:", ""]
        features.sort(key=lambda e: e["features"])
        lines += [*_table("features", features, lambda e: f"{e['features']}"), ""]
    if len(batches) > 1:
        lines += [f"With {width} hidden units, other batches:", ""]
        batches.sort(key=lambda e: e["batch"])
        lines += [*_table("points a side", batches, lambda e: f"{e['batch']:,}"), ""]
    return lines


def _table(
    head: str, entries: Sequence[Mapping[str, Any]], name: Callable[[Mapping[str, Any]], str]
) -> list[str]:
    peers = [peer for peer in _NAMES if any(peer in entry["peers"] for entry in entries)]
    lines = [
        f"| {head} | " + " | ".join(_NAMES[peer] for peer in peers) + " |",
        "| --- |" + " ---: |" * len(peers),
    ]
    for entry in entries:
        cells = []
        for peer in peers:
            own = entry["peers"].get(peer)
            cells.append(
                f"{_number(own['steps_per_second']['median'])} "
                f"({own['peak_memory_bytes'] / 1e9:.1f} GB)"
                if own
                else "not run"
            )
        lines.append(f"| {name(entry)} | {' | '.join(cells)} |")
    return lines


def _devices(found: Mapping[str, Any]) -> list[str]:
    devices = found.get("scaling", {}).get("devices")
    if not devices:
        return []
    kind = next(iter(devices.values()))["kind"]
    what = "cores of the processor that pose as devices" if kind == "cpu" else f"{kind} devices"
    lines = [
        f"Several devices share each batch, here {what}, with 512 hidden units and 4,096 + 4,096 "
        "points, in JAX."
        + (" One such device may use all cores already." if kind == "cpu" else ""),
        "",
        "| devices | steps a second |",
        "| ---: | ---: |",
    ]
    lines += [
        f"| {count} | {_number(own['steps_per_second']['median'])} |"
        for count, own in devices.items()
    ]
    return [*lines, ""]


def _images(found: Mapping[str, Any]) -> list[str]:
    """Glow beside normflows': its speed, and what it learns in as many steps."""
    images = found.get("images")
    if not images:
        return []
    speed, machine = images["speed"], images["speed"]["machine"]
    size, peers = speed["size"], speed["peers"]
    side = f"{size['pixels']} × {size['pixels']}"
    ratio = peers["lrmf-jax"]["steps_per_cpu_second"]["ratio_to_normflows"]
    theirs = peers["normflows"]["versions"]
    lines = [
        "## Images",
        "",
        (
            f"One step of LRMF with two Glows of {side} pixels, {size['levels']} levels of "
            f"{size['steps']} steps, {size['filters']} filters, {speed['batch']} + "
            f"{speed['batch']} images, in lrmf and by normflows' blocks, put together in the same "
            f"way. Measured on {speed['date'][:10]}, both on the same core of a machine that had "
            f"other work (a load of {machine['load_average_before']:.0f} on "
            f"{machine['cores']} cores): so the processes take turns, what counts is a second of "
            f"the *processor*, and ratios are those of one turn to the next. "
            f"JAX {peers['lrmf-jax']['versions']['jax']}, PyTorch {theirs['torch']}, "
            f"normflows {theirs['normflows']}."
        ),
        "",
        "| | steps in a processor's second | in one by the clock | peak memory |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, own in peers.items():
        by_cpu, by_clock = own["steps_per_cpu_second"], own["steps_per_second"]
        lines.append(
            f"| {_NAMES[name]} | {_few(by_cpu)} | {_few(by_clock)} | "
            f"{own['peak_memory_bytes'] / 1e9:.1f} GB |"
        )
    lines += [
        "",
        f"In the processor's seconds that is {_few(ratio)} times normflows.",
        "",
    ]
    return [*lines, *_bits(images["bits"])] if "bits" in images else lines


def _bits(bits: Mapping[str, Any]) -> list[str]:
    size, images = bits["size"], bits["images"]
    seeds = len(next(iter(bits["peers"].values()))["seeds"])
    lines = [
        (
            f"What does such a Glow learn? As a density of MNIST's digits, shrunk whole to "
            f"{size['pixels']} × {size['pixels']} pixels: {images['report']['learned']:,} of them, "
            f"{bits['steps']} steps of {bits['batch']} digits, the same ones with the same uniform "
            f"noise for both, Adam with one schedule. Each has the learning rate that is best for "
            f"it by {images['tuning']['held_out']:,} other digits, in a grid of factors of four "
            "that holds it inside, or whose next rate diverged. So few steps tell how soon a flow "
            "learns, not how far it gets. "
            f"Bits per dimension of {images['report']['held_out']:,} held-out digits, mean ± "
            f"standard deviation of {seeds} seeds; seconds of the processor for a fit."
        ),
        "",
        "| | parameters | learning rate | bits per dimension | s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, own in bits["peers"].items():
        found = np.array([run["bits_per_dimension"] for run in own["seeds"]])
        seconds = np.median([run["cpu_seconds"] for run in own["seeds"]])
        lines.append(
            f"| {_NAMES[name]} | {own['seeds'][0]['parameters']:,} | {own['learning_rate']:g} | "
            f"{found.mean():.3f} ± {found.std(ddof=1):.3f} | {seconds:.0f} |"
        )
    return [*lines, ""]


def _rows(found: Mapping[str, Any]) -> list[str]:
    scaling = found.get("scaling", {})
    if not scaling:
        return []
    lines = [
        "## More rows",
        "",
        (
            "A step does not depend on how many rows there are to draw from. Moving them does: "
            "`transform` of rows of eight features on disk, seconds, and the memory that comes "
            "on top of what the process had."
        ),
        "",
        "| rows | " + " | ".join(_NAMES[f"lrmf-{b}"] for b in scaling["transform"]) + " |",
        "| ---: |" + " ---: |" * len(scaling["transform"]),
    ]
    for n in next(iter(scaling["transform"].values())):
        cells = [
            f"{own[n]['seconds']['median']:.2f} s ({own[n]['added_memory_bytes']['max'] / 1e9:.2f} "
            "GB)"
            for own in scaling["transform"].values()
        ]
        lines.append(f"| {int(n):,} | {' | '.join(cells)} |")
    lines += [
        "",
        "And judging them, `lrmf.lrd` in 16 dimensions with its controls:",
        "",
        "| points a side | seconds | peak memory |",
        "| ---: | ---: | ---: |",
    ]
    lines += [
        f"| {int(n):,} | {own['seconds']['median']:.1f} | "
        f"{own['peak_memory_bytes']['max'] / 1e9:.1f} GB |"
        for n, own in scaling["judge"].items()
    ]
    return [*lines, ""]


_METHODS = {
    "lrmf-jax": "`LRMF`, JAX",
    "matching": "flow matching",
    "matching, plans": "flow matching, pairs by the plan of each batch",
}


def _matching(found: Mapping[str, Any]) -> list[str]:
    methods = found.get("matching") or {}
    if len(methods) < 2:
        return []
    runs = len(methods["lrmf-jax"]["lrd"]["runs"])
    date = found.get("matching_date")
    by_itself = f" Measured by itself on {date[:10]}, on such a machine." if date else ""
    lines = [
        "## Beside flow matching",
        "",
        (
            "Flow matching learns the velocity of a path from source to target, here with ott-jax, "
            "with the settings that the search of {ref}`sec-comparison` chose and as many steps as "
            "`LRMF`, which has its defaults. Two thousand points a side of the moons, "
            f"{runs} seed{'' if runs == 1 else 's'}: median seconds of the fit with its "
            "compilation, and of moving 2,000 new points; distance and labels (1-NN) of these, "
            f"with the least and the greatest.{by_itself}"
        ),
        "",
        "| method (parameters) | fit, s | move, s | lrd, nats | labels |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, own in methods.items():
        lines.append(
            f"| {_METHODS[name]} ({own['parameters']:,}) | {own['fit_seconds']['median']:.1f} | "
            f"{own['transform_seconds']['median']:.1f} | {_few(own['lrd'])} | "
            f"{_few(own['labels'])} |"
        )
    return [*lines, ""]


def _cold(found: Mapping[str, Any]) -> list[str]:
    lines = [
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
    return [
        *lines,
        "",
        f"`import lrmf` takes {1000 * imported:.1f} ms and loads neither JAX nor TensorFlow.",
        "",
    ]


def _budgets(found: Mapping[str, Any]) -> list[str]:
    """As they are today: those of the day of the file may have been others."""
    asked = budgets({"continuous": {}, **found})
    met = sum(budget["met"] for budget in asked)
    lines = [
        "## Our budgets",
        "",
        f"What we ask of ourselves, and what came out: {met} of {len(asked)} are met.",
        "",
        "| what | budget | measured | met |",
        "| --- | --- | --- | --- |",
    ]
    for budget in asked:
        yes = "yes" if budget["met"] else "**no**"
        lines.append(f"| {budget['what']} | {budget['budget']} | {budget['measured']} | {yes} |")
    others = len(found["training"]) > len(plain(found["training"]))
    lacking = [
        what
        for what, there in (
            ("other dimensions and batches", others),
            ("rows, points to judge and devices", found.get("scaling")),
            ("flow matching", len(found.get("matching") or {}) > 1),
        )
        if not there
    ]
    if lacking:
        lines += ["", f"In this file there is nothing yet on {'; '.join(lacking)}."]
    return [*lines, ""]


def _few(values: Mapping[str, float]) -> str:
    return f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _share(entry: Mapping[str, Any]) -> float:
    return float(entry["peers"]["lrmf-jax"]["share_on_own_shapes"]["median"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    TARGET.write_text(page_text(document()), encoding="utf8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
