"""The experiments behind "Digits in a learned embedding": embeddings and maps of their codes.

A seed is that of an embedding, of the maps in it and of the classifiers that judge them. Only
classifiers see labels, and nothing is fitted to the held-out digits.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import lrmf
from book.results.embedded_digits.classifiers import nearest
from book.results.embedded_digits.embedding import DIM, Embedding
from book.results.embedded_digits.maps import FURTHER, LRMF, MAPS, STEPS, fitted
from book.results.embedded_digits.pictures import SIDES, SIZES, Pictures, pictures
from book.results.network import STEPS as NETWORK_STEPS, Network
from book.results.runner import Arrays, Numbers, Run, curve

__all__ = ["BUNDLED", "Codes", "codes", "digest", "embed", "row", "runs", "tuning"]

SEEDS = range(5)
TUNING_SEED = 100
EMBEDDING_STEPS = 2000
TUNING_STEPS = 1000
#: Weights w of the features and v of the game that were tried.
TRIED = ((0.0, 0.0), (0.1, 3.0), (1.0, 10.0))
CHOSEN = (0.1, 3.0)
DRAWS = 8  # from q(z|x) of each digit, stacked: a minibatch hardly ever meets one twice
BUNDLED = {"a": 1000, "b": 1000, "a_test": 700, "b_test": 700}  # digits that come with the book
DECIDED = ("gaussian", "realnvp", "spline")  # rows that the judge holds against its controls
_CACHE = Path(__file__).parents[3] / "_build" / "embedded_digits"


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for features, adversary in TRIED:
        yield Run(
            name=f"tuning features={features:g} adversary={adversary:g}",
            compute=tuning,
            settings={
                "size": "whole",
                "seed": TUNING_SEED,
                "steps": steps or TUNING_STEPS,
                "features": features,
                "adversary": adversary,
            },
        )
    for seed in SEEDS:
        for size in SIZES:
            trained = {
                "size": size,
                "seed": seed,
                "steps": steps or EMBEDDING_STEPS,
                "features": CHOSEN[0],
                "adversary": CHOSEN[1],
            }
            yield Run(
                name=f"embedding {size} seed={seed}",
                compute=embed,
                settings={**trained, "bundled": seed == SEEDS[0]},
            )
            further = FURTHER if size == "whole" else ()
            for method in ("pixels", "target", "none", *MAPS, *further):
                yield Run(
                    name=f"{method} {size} seed={seed}",
                    compute=row,
                    settings={
                        "method": method,
                        "embedding": trained,
                        "map_steps": steps or (4 * STEPS if method == "longer" else STEPS),
                        "network_steps": steps or NETWORK_STEPS,
                        "shown": seed == SEEDS[0],
                    },
                )


def tuning(**settings: Any) -> tuple[Numbers, Arrays]:
    """A short training with weights of features and game, on a seed that is never reported."""
    _, numbers, curves = _trained(**settings)
    return numbers, curves


def embed(*, bundled: bool, **settings: Any) -> tuple[Numbers, Arrays]:
    """Train an embedding; one per size comes with the book: weights, and codes of some digits."""
    model, numbers, curves = _trained(**settings)
    _CACHE.mkdir(parents=True, exist_ok=True)
    np.savez(_file(settings), **model.arrays)
    both = codes(**settings)
    for side in ("a", "b"):
        mean, scale = both.posterior[side]
        kl = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).mean(axis=0)
        numbers[f"kl_of_dimensions_{side}"] = [float(x) for x in np.round(kl, 4)]
        numbers[f"deviation_of_means_{side}"] = [float(x) for x in np.round(mean.std(axis=0), 4)]
    arrays = dict(curves)
    if bundled:
        arrays |= model.arrays
        rng = np.random.default_rng(settings["seed"])
        for side, count in BUNDLED.items():
            rows = np.sort(rng.permutation(len(both.labels[side]))[:count])
            mean, scale = (x[rows] for x in both.posterior[side])
            arrays[f"{side}.rows"] = rows.astype(np.int16)
            arrays[f"{side}.labels"] = both.labels[side][rows].astype(np.int8)
            arrays[f"{side}.mean"] = mean.astype(np.float16)
            arrays[f"{side}.scale"] = scale.astype(np.float16)
        numbers["sha256"] = digest(arrays)
    return numbers, arrays


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """The hash of what is bundled: all but the curves, by name."""
    found = hashlib.sha256()
    for name in sorted(name for name in arrays if "." in name):
        found.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return found.hexdigest()


def _trained(**settings: Any) -> tuple[Embedding, Numbers, Arrays]:
    # Keras takes as long to import as a map to fit, and rows need none of it.
    from book.results.embedded_digits.training import train

    data = pictures(settings["size"])
    began, worked = time.perf_counter(), time.process_time()
    own = {name: value for name, value in settings.items() if name != "size"}
    model, curves = train(data.a, data.b, **own)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - worked
    numbers: Numbers = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "parameters": sum(array.size for array in model.arrays.values()),
        "kl": float(curves["kl"][-1]),
        "critic": float(curves["critic"][-1]),
    }
    for side in ("a_test", "b_test"):
        x = getattr(data, side)
        again = model.decode(model.encode(x)[0])
        numbers[f"error_{side}"] = float(np.sqrt(np.mean((again - x) ** 2)))
    return model, numbers, curves


def _file(settings: dict[str, Any]) -> Path:
    words = [f"{name}={value}" for name, value in sorted(settings.items())]
    return _CACHE / f"{' '.join(words)}.npz"


class Codes:
    """Both collections in one embedding: posteriors, labels, and draws from the posteriors."""

    def __init__(self, model: Embedding, data: Pictures, seed: int) -> None:
        self.model, self.data, self.labels, self.seed = model, data, data.labels, seed
        self.posterior = {side: model.encode(getattr(data, side)) for side in SIDES}

    def draws(self, side: str, count: int = 1) -> np.ndarray:
        """Draws from q(z|x), ``(count * n, DIM)``: every digit once, then every digit again."""
        mean, scale = self.posterior[side]
        rng = np.random.default_rng([self.seed, SIDES.index(side)])
        noise = rng.standard_normal((count, *mean.shape), dtype=np.float32)
        return (mean + scale * noise).reshape(-1, DIM)


@functools.lru_cache(maxsize=1)
def _codes(names: tuple[tuple[str, Any], ...]) -> Codes:
    settings = dict(names)
    file = _file(settings)
    if file.is_file():
        with np.load(file) as arrays:
            model = Embedding(arrays)
    else:
        model, _, _ = _trained(**settings)
    return Codes(model, pictures(settings["size"]), settings["seed"])


def codes(**settings: Any) -> Codes:
    """The codes of an embedding, which is trained anew unless `embed` left it on this machine."""
    return _codes(tuple(sorted(settings.items())))


@functools.lru_cache(maxsize=1)
def _reader(names: tuple[tuple[str, Any], ...], steps: int) -> Network:
    """A network that has learned decoded MNIST digits: what says which label a moved digit has."""
    both = codes(**dict(names))
    return Network(
        both.model.decode(both.draws("b")), both.labels["b"], seed=both.seed, steps=steps
    )


def row(
    *, method: str, embedding: dict[str, Any], map_steps: int, network_steps: int, shown: bool
) -> tuple[Numbers, Arrays]:
    """One row of the table: a map, its distances, and what classifiers make of its labels."""
    both, seed = codes(**embedding), embedding["seed"]
    if method == "pixels":
        return _pixels(both, network_steps)
    reader = _reader(tuple(sorted(embedding.items())), network_steps)
    a, b = both.draws("a", DRAWS), both.draws("b", DRAWS)
    a_test, b_test = both.draws("a_test"), both.draws("b_test")
    numbers: Numbers = {}
    arrays: Arrays = {}
    if method in ("target", "none"):
        learned, moved_test = (both.draws("b" if method == "target" else "a"), a_test)
    else:
        began, worked = time.perf_counter(), time.process_time()
        few = method in ("coral", "gaussian", "emd", "sinkhorn")
        x, y = (both.draws(side) for side in ("a", "b")) if few else (a, b)
        model = fitted(method, x, y, seed=seed, steps=map_steps)
        numbers["seconds"] = time.perf_counter() - began
        numbers["cpu_seconds"] = time.process_time() - worked
        learned, moved_test = model.transform(both.draws("a")), model.transform(a_test)
        numbers["moved"] = [
            float(x) for x in np.sqrt(np.mean((moved_test - a_test) ** 2, axis=0)).round(4)
        ]
        if method in LRMF:
            numbers |= _bound(model, a_test, b_test)
            # The same on digits that were learned from: what differs was learned by heart.
            seen = model.family_certificate(both.draws("a"), both.draws("b"))
            numbers |= {"bound_seen": seen.bound, "bound_seen_stderr": seen.bound_stderr}
            arrays = {"loss": curve(model.history_["loss"])}
            numbers["last_loss"] = float(np.mean(model.history_["loss"][-100:]))
            if shown:
                arrays |= _frames(model, both)
        elif hasattr(model, "history_"):
            arrays = {"loss": curve(model.history_["loss"])}
        if hasattr(model, "outcome_"):
            numbers["outcome"] = model.outcome_
    labels = both.labels["b" if method == "target" else "a"]
    named = {"nearest": nearest(learned, labels, both.posterior["b_test"][0])}
    network = (
        reader
        if method == "target"
        else Network(both.model.decode(learned), labels, seed=seed, steps=network_steps)
    )
    named["network"] = network.names(both.data.b_test)
    for name, answers in named.items():
        right = answers == both.labels["b_test"]
        numbers[name] = float(right.mean())
        arrays[f"right.{name}"] = np.packbits(right)
    numbers["network_decoded"] = network.accuracy(
        both.model.decode(both.posterior["b_test"][0]), both.labels["b_test"]
    )
    if method == "target":
        return numbers, arrays
    pictured = both.model.decode(moved_test)
    numbers["kept"] = reader.accuracy(pictured, both.labels["a_test"])
    numbers["kept_nearest"] = float(
        np.mean(
            nearest(b[: len(both.labels["b"])], both.labels["b"], moved_test)
            == both.labels["a_test"]
        )
    )
    decided = shown and method in DECIDED
    judged = lrmf.lrd(moved_test, b_test, seed=seed, controls=decided)
    numbers |= {"lrd": judged.lrd, "lrd_stderr": judged.lrd_stderr}
    if decided:
        numbers["decision"] = judged.decision
    if shown:
        arrays["moved"] = _pictured(pictured[_one_of_each(both)])
    return numbers, arrays


def _pixels(both: Codes, steps: int) -> tuple[Numbers, Arrays]:
    """No embedding: networks that learn the pictures themselves, of the source or the target."""
    numbers: Numbers = {}
    arrays: Arrays = {}
    for side, name in (("a", "source"), ("b", "target")):
        network = Network(getattr(both.data, side), both.labels[side], seed=both.seed, steps=steps)
        right = network.names(both.data.b_test) == both.labels["b_test"]
        numbers[name] = float(right.mean())
        arrays[f"right.{name}"] = np.packbits(right)
    return numbers, arrays


def _bound(model: lrmf.LRMF, a: np.ndarray, b: np.ndarray) -> Numbers:
    """The bound, and the distance within the family."""
    found = model.family_certificate(a, b)
    return {
        "bound": found.bound,
        "bound_stderr": found.bound_stderr,
        "family_lrd": found.lrd,
        "family_lrd_stderr": found.lrd_stderr,
        "constant": float(model.constant_),
    }


def _frames(model: lrmf.LRMF, both: Codes) -> Arrays:
    """Some held-out digits at several steps of the training."""
    still = both.draws("a_test")[_one_of_each(both)]
    frames = [both.model.decode(flow.forward(still)[0]) for _, flow, _ in model.snapshots_]
    return {
        "frames": _pictured(np.stack(frames)),
        "frame_steps": np.array([step for step, *_ in model.snapshots_]),
    }


def _one_of_each(both: Codes) -> np.ndarray:
    """The held-out source digits that are shown: the first of each class."""
    return np.array([np.argmax(both.labels["a_test"] == digit) for digit in range(10)])


def _pictured(x: np.ndarray) -> np.ndarray:
    return np.round(255 * x).astype(np.uint8)
