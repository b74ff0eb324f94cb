"""The experiments behind "A first real pair": densities of MNIST, and alignments of USPS with it.

What they compute is the same as on the page, for several seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import multivariate_normal

import lrmf
from book.results.first_real_pair.digits import digits, shrink
from book.results.first_real_pair.judge import Judge, distance_of, numbers_of
from book.results.first_real_pair.page import page
from book.results.runner import Arrays, Numbers, Run
from lrmf.fitting import FitConfig, fit
from lrmf.objectives import likelihood

__all__ = ["likelihood_gain", "longer", "pair", "runs", "shrunk"]

SEEDS = range(3)
SWEEP = (4, 8, 16, 32, 64, 128)
WIDTHS = (64, 128, 256)
COMPONENTS = (8, 16, 32, 64)
BEST = 64  # of SWEEP
WIDTH = 64  # of the density's networks, the best of WIDTHS
TRANSFORM_WIDTHS = (32, 64)


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, in the order in which they are made; ``steps`` makes them tiny."""
    for k in SWEEP:
        for width in WIDTHS:
            for seed in SEEDS:
                yield Run(
                    name=f"gain k={k} width={width} seed={seed}",
                    compute=likelihood_gain,
                    settings={"k": k, "width": width, "seed": seed, "steps": steps or 2000},
                )
    for seed in SEEDS:
        for k in COMPONENTS:
            yield Run(
                name=f"pair k={k} seed={seed}",
                compute=pair,
                settings={
                    "k": k,
                    "seed": seed,
                    "width": WIDTH,
                    "transform_widths": list(TRANSFORM_WIDTHS),
                    "steps": steps or 2000,
                    "refit_steps": steps or 1000,
                    "gaussian_steps": steps or 8000,
                },
            )
    for seed in SEEDS:
        yield Run(
            name=f"longer k={BEST} seed={seed}",
            compute=longer,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "transform_width": TRANSFORM_WIDTHS[0],
                "steps": steps or 8000,
                "private_steps": steps or 2000,
                "refit_steps": steps or 1000,
            },
        )
        yield Run(
            name=f"shrunk k={BEST} seed={seed}",
            compute=shrunk,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "size": 12,
                "steps": steps or 2000,
                "refit_steps": steps or 1000,
            },
        )
    for seed in SEEDS:
        yield Run(
            name=f"page k={BEST} seed={seed}",
            compute=page,
            settings={
                "k": BEST,
                "seed": seed,
                "width": WIDTH,
                "transform_width": TRANSFORM_WIDTHS[0],
                "steps": steps or 2000,
                "gaussian_steps": steps or 8000,
                "played": seed == 0,
            },
        )


def likelihood_gain(*, k: int, width: int, seed: int, steps: int) -> tuple[Numbers, Arrays]:
    """By how much a RealNVP beats a normal density on k components of MNIST, in nats a digit.

    Measured on a random fifth of the training digits, which neither density has seen.
    """
    b = digits().b[:, :k]
    rows = np.random.default_rng(seed).permutation(len(b))
    held_out, seen = b[rows[: len(b) // 5]], b[rows[len(b) // 5 :]]
    spec = lrmf.RealNVP(hidden=(width, width))
    backend = lrmf.get_backend("jax")
    role, arrays = backend.init(lrmf.Density, spec, (k,), np.random.default_rng(seed))
    result = fit(
        likelihood,
        (role,),
        {"density": arrays},
        {"data": seen},
        backend=backend,
        config=FitConfig(steps=steps),
        seed=np.random.SeedSequence(seed),
    )
    flow = backend.model(role, result.arrays["density"], "float32")
    normal = multivariate_normal(seen.mean(axis=0), np.cov(seen.T, bias=True))
    gain = flow.log_prob(held_out) - normal.logpdf(held_out)
    numbers = {
        "gain": float(gain.mean()),
        "gain_stderr": float(gain.std(ddof=1) / np.sqrt(len(gain))),
        "gain_seen": float((flow.log_prob(seen) - normal.logpdf(seen)).mean()),
    }
    return numbers, {}


def pair(
    *,
    k: int,
    seed: int,
    width: int,
    transform_widths: Sequence[int],
    steps: int,
    refit_steps: int,
    gaussian_steps: int,
) -> tuple[Numbers, Arrays]:
    """Align the digits in k components in several ways, and judge each on held-out digits."""
    a, b, a_test, b_test = digits().first(k)
    judge = Judge(digits(), k)
    gaussian: dict[str, Any] = {
        "density": lrmf.Gaussian(),
        "learning_rate": 0.01,
        "seed": seed,
        "steps": gaussian_steps,
        "private_steps": None,
        "refit_steps": refit_steps,
    }
    realnvp: dict[str, Any] = {
        "density": lrmf.RealNVP(hidden=(width, width)),
        "learning_rate": 1e-3,
        "seed": seed,
        "steps": steps,
        "private_steps": None,
        "refit_steps": refit_steps,
    }
    # Only the bound uses the private densities.
    distance = {**realnvp, "transform": lrmf.Identity(), "private_steps": 1}

    still = lrmf.LRMF(
        standardize=False, schedule="cosine", transform=lrmf.Identity(), **gaussian
    ).fit(Xs=a, Xt=b)
    before = lrmf.LRMF(standardize=False, schedule="cosine", **distance).fit(Xs=a, Xt=b)
    numbers = {
        "none": {
            **judge(still, a, a_test),
            "gaussian": numbers_of(still, a_test, b_test),
            "realnvp": distance_of(before, a_test, b_test),
        }
    }

    monge = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        start="identity",
        transform=lrmf.Affine(kind="positive_definite"),
        **gaussian,
    )
    monge.fit(Xs=a, Xt=b)
    moved, moved_test = monge.transform(a), monge.transform(a_test)
    again = lrmf.LRMF(standardize=False, schedule="cosine", **distance).fit(Xs=moved, Xt=b)
    numbers["gaussian"] = {
        **judge(monge, a, a_test),
        "gaussian": numbers_of(monge, a_test, b_test),
        "realnvp": distance_of(again, moved_test, b_test),
    }

    transforms: dict[str, lrmf.specs.FlowSpec] = {"affine": lrmf.Affine()}
    for w in transform_widths:
        transforms[f"realnvp {w}"] = lrmf.RealNVP(hidden=(w, w))
    for name, transform in transforms.items():
        model = lrmf.LRMF(standardize=False, schedule="cosine", transform=transform, **realnvp).fit(
            Xs=a, Xt=b
        )
        numbers[name] = {
            **judge(model, a, a_test),
            "realnvp": numbers_of(model, a_test, b_test),
            "last_loss": float(np.mean(model.history_["loss"][-100:])),
            "fit_seconds": round(model.seconds_, 1),
        }

    # What the certificate reads where there is nothing to align: two halves of MNIST.
    rng = np.random.default_rng(seed)
    rows, rows_test = (np.array_split(rng.permutation(len(x)), 2) for x in (b, b_test))
    null = lrmf.LRMF(
        standardize=False, schedule="cosine", **distance | {"private_steps": steps}
    ).fit(Xs=b[rows[0]], Xt=b[rows[1]])
    numbers["halves"] = {"realnvp": numbers_of(null, b_test[rows_test[0]], b_test[rows_test[1]])}
    numbers["mnist"] = judge.reference()
    return numbers, {}


def longer(
    *,
    k: int,
    seed: int,
    width: int,
    transform_width: int,
    steps: int,
    private_steps: int,
    refit_steps: int,
) -> tuple[Numbers, Arrays]:
    """The RealNVP map with more steps for the map; the other stages are as in `pair`."""
    a, b, a_test, b_test = digits().first(k)
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.RealNVP(hidden=(transform_width, transform_width)),
        density=lrmf.RealNVP(hidden=(width, width)),
        learning_rate=1e-3,
        seed=seed,
        steps=steps,
        private_steps=private_steps,
        refit_steps=refit_steps,
    ).fit(Xs=a, Xt=b)
    numbers = {
        **Judge(digits(), k)(model, a, a_test),
        "realnvp": numbers_of(model, a_test, b_test),
        "last_loss": float(np.mean(model.history_["loss"][-100:])),
        "fit_seconds": round(model.seconds_, 1),
    }
    return numbers, {}


def shrunk(
    *, k: int, seed: int, width: int, size: int, steps: int, refit_steps: int
) -> tuple[Numbers, Arrays]:
    """The distance of MNIST and USPS digits that were shrunk by hand, not by a learned map."""
    data = digits()
    _, b, _, b_test = data.first(k)
    a, a_test = (data.encode(shrink(x, size), k) for x in (data.a_images, data.a_test_images))
    model = lrmf.LRMF(
        standardize=False,
        schedule="cosine",
        transform=lrmf.Identity(),
        density=lrmf.RealNVP(hidden=(width, width)),
        learning_rate=1e-3,
        seed=seed,
        steps=steps,
        private_steps=1,
        refit_steps=refit_steps,
    ).fit(Xs=a, Xt=b)
    numbers = {**Judge(data, k)(model, a, a_test), "realnvp": distance_of(model, a_test, b_test)}
    return numbers, {}
