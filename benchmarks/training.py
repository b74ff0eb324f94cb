"""Steps per second: parity of work first, then interleaved rounds over all implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.hardware import Shape, available_libraries, own_shapes
from benchmarks.worker import Worker
from benchmarks.workload import PARITY_STEPS, Workload

__all__ = ["check_parity", "measure", "summary"]

LOSS_TOLERANCE = 1e-4
MATMUL_SECONDS = 0.15


def measure(
    workloads: Sequence[Workload],
    peers: Sequence[str],
    *,
    repeats: int,
    seconds: float,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Time every peer on every workload; each gives one entry of the result file."""
    return [_measure_one(workload, peers, repeats, seconds, report) for workload in workloads]


def check_parity(
    workload: Workload,
    parameters: Mapping[str, int],
    losses: Mapping[str, Sequence[float]],
) -> float:
    """Refuse to compare peers that do different work.

    Each must train as many numbers as the workload has, and from the same arrays, on the same
    batches, reach the same losses: the first one tells that the models agree, the later ones
    that the optimisers do. They have to agree to a relative 1e-4. Returns the largest relative
    difference of all.

    Raises:
        ValueError: If a count or a loss differs.
    """
    expected = workload.parameter_count()
    for name, count in parameters.items():
        if count != expected:
            raise ValueError(
                f"{name} trains {count} numbers where the workload has {expected}: "
                "it is not the same architecture."
            )
    reference_name = next(iter(losses))
    reference = np.asarray(losses[reference_name])
    largest = 0.0
    for name, values in losses.items():
        difference = np.abs(np.asarray(values) - reference) / np.abs(reference)
        for what, found in (("first", difference[0]), ("later", difference.max())):
            # Written so that NaN is refused too.
            if not found <= LOSS_TOLERANCE:
                raise ValueError(
                    f"the {what} losses of {name} and {reference_name} differ by a relative "
                    f"{found:.1e} (allowed: {LOSS_TOLERANCE:.0e}): they do not do the same work."
                )
        largest = max(largest, float(difference.max()))
    return largest


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def _measure_one(
    workload: Workload,
    peers: Sequence[str],
    repeats: int,
    seconds: float,
    report: Callable[[str], None],
) -> dict[str, Any]:
    # New processes, whose peak memory is that of this workload.
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name)) for name in peers}
        libraries = {name: stack.enter_context(Worker(name)) for name in available_libraries()}
        return _rounds(workload, workers, libraries, repeats, seconds, report)


def _rounds(
    workload: Workload,
    workers: Mapping[str, Worker],
    libraries: Mapping[str, Worker],
    repeats: int,
    seconds: float,
    report: Callable[[str], None],
) -> dict[str, Any]:
    what = f"hidden {workload.hidden}, features {workload.features}, batch {workload.batch}"
    report(f"{what}: building and comparing {', '.join(workers)}")
    parameters = {name: worker.build(workload) for name, worker in workers.items()}
    losses = {name: worker.losses(PARITY_STEPS) for name, worker in workers.items()}
    difference = check_parity(workload, parameters, losses)

    shapes = own_shapes(workload.hidden, workload.batch)
    speeds: dict[str, list[float]] = {name: [] for name in workers}
    rates: list[dict[str, dict[str, float]]] = []
    for turn in range(repeats):
        report(f"{what}: round {turn + 1} of {repeats}")
        # Turn about, so that no peer always runs in the wake of the same other one.
        for name in list(workers)[:: 1 if turn % 2 == 0 else -1]:
            speeds[name].append(workers[name].steps_per_second(seconds))
        rates.append({})
        for library, worker in libraries.items():
            found = worker.ask(
                "matmul", library=library, shapes=list(shapes.values()), seconds=MATMUL_SECONDS
            )["rates"]
            rates[-1][library] = dict(zip(shapes, found, strict=True))

    flops = workload.flops_per_step()
    own = [max(_rate_on_own_shapes(found, shapes) for found in turn.values()) for turn in rates]
    return {
        "hidden": workload.hidden,
        "batch": workload.batch,
        "blocks": workload.blocks,
        "features": workload.features,
        "parameters": workload.parameter_count(),
        "flops_per_step": flops,
        "largest_relative_loss_difference": difference,
        "matmul": {"rounds": rates, "on_own_shapes": summary(own)},
        "peers": {
            name: {
                "steps_per_second": {"rounds": values, **summary(values)},
                "share_on_own_shapes": _ratios([flops * v for v in values], own),
                "ratio_to": {
                    other: _ratios(values, speeds[other]) for other in workers if other != name
                },
                "peak_memory_bytes": workers[name].peak_memory(),
            }
            for name, values in speeds.items()
        },
    }


def _ratios(values: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """Ratios round by round, so that what slows a whole round cancels."""
    return summary([value / other for value, other in zip(values, others, strict=True)])


def _rate_on_own_shapes(rates: Mapping[str, float], shapes: Mapping[str, Shape]) -> float:
    """One library's rate on the mix of products in a step: total operations / total time."""
    operations = time = 0.0
    for name, (m, k, n) in shapes.items():
        # The input gradient has the shapes of the forward product.
        work = 2 * m * k * n * (2 if name.endswith("forward") else 1)
        operations += work
        time += work / rates[name]
    return operations / time
