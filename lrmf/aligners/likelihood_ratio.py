"""The LRMF aligner."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.exceptions import NotFittedError

from ..backends import get_backend
from ..backends.base import check_dtype
from ..certificate import Certificate
from ..checkpoints import Checkpoint
from ..checks import check_fraction, check_positive_int, check_positive_number, check_seed
from ..fitting import FitConfig
from ..models import Density, Flow
from ..objectives import likelihood_ratio
from ..specs import Gaussian, Histogram, RealNVP, Spec
from . import persistence
from .base import FlowAligner, check_pair
from .stages import Stage, Stages

__all__ = ["LRMF"]


class LRMF(FlowAligner):
    """Align a source A with a target B by a log-likelihood-ratio minimising flow T.

    Minimises the LRMF loss (paper, Definition 2.2 and Algorithm 1)

        -E log|det ∇T(a)| - E log P_S(T(a)) - E log P_S(b) + c(A, B)

    over the flow T and the shared density S, by Adam on minibatches, after fitting the private
    densities of A and B that give c(A, B). Finally copies of S are fitted further, one to T(A)
    and one to B, for the certificate. With the constant, a loss of zero means aligned.

    Args:
        transform: the flow T: a spec, a flowjax bijection or a TFP bijector.
        density: the family M: a spec, or a flow or distribution of the backend's library. A flow
            is pushed forward from N(0, I).
        backend: ``"jax"`` or ``"tfp"``.
        steps: optimiser steps for the flow.
        batch_size: points per side and step; a side of at most this size is used whole.
        learning_rate: Adam's initial step size.
        seed: of initial arrays, minibatches and the validation split.
        schedule: ``"cosine"`` decays the learning rate to zero, ``"constant"`` keeps it.
        gradient_clip: largest norm of a gradient.
        private_steps: steps for each private density, ``steps`` by default.
        refit_steps: steps for each refitted copy of the shared density.
        refit_learning_rate: their initial step size; by default a tenth of ``learning_rate``,
            which keeps networks from overfitting, and all of it for `Gaussian` and `Histogram`.
        validation_fraction: share of both data sets that is held out to monitor the loss.
        patience: stop when the validation loss has not improved for so many steps.
        snapshot_every: keep the models about every so many steps, in ``snapshots_``.
        checkpoint_every: with a checkpoint file, write it every so many steps.
        tolerance: the largest distance in nats that the certificate calls aligned.
        dtype: ``"float32"`` or ``"float64"``.
        progress: whether to show progress bars.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        density_: the shared density, a `Density`.
        private_source_, private_target_: the densities fitted to A and to B.
        refitted_source_, refitted_target_: the shared density fitted further to T(A) and to B.
        constant_: c(A, B) on the training data, in nats.
        history_: ``step`` and ``loss`` (with the constant) of every step, and
            ``validation_step`` and ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples.

    >>> import lrmf
    >>> pair = lrmf.data.blobs(seed=0)
    >>> model = LRMF(transform=lrmf.Affine(), density=lrmf.Gaussian(), steps=100, progress=False)
    >>> model.fit(Xs=pair.source, Xt=pair.target).transform(pair.source).shape
    (100, 2)
    """

    def __init__(
        self,
        *,
        transform: Any = RealNVP(hidden=(64, 64)),
        density: Any = RealNVP(hidden=(128, 128)),
        backend: Literal["jax", "tfp"] = "jax",
        steps: int = 4000,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        seed: int = 0,
        schedule: Literal["cosine", "constant"] = "cosine",
        gradient_clip: float = 10.0,
        private_steps: int | None = None,
        refit_steps: int = 2000,
        refit_learning_rate: float | None = None,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        snapshot_every: int | None = None,
        checkpoint_every: int = 1000,
        tolerance: float = 0.1,
        dtype: Literal["float32", "float64"] = "float32",
        progress: bool = True,
    ) -> None:
        self.transform_spec = transform  # `transform` is a method
        self.density = density
        self.backend = backend
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.schedule = schedule
        self.gradient_clip = gradient_clip
        self.private_steps = private_steps
        self.refit_steps = refit_steps
        self.refit_learning_rate = refit_learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.snapshot_every = snapshot_every
        self.checkpoint_every = checkpoint_every
        self.tolerance = tolerance
        self.dtype = dtype
        self.progress = progress

    def fit(
        self,
        Xs: Any = None,
        ys: Any = None,
        Xt: Any = None,
        yt: Any = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> LRMF:
        """Learn the flow from source and target points.

        Args:
            Xs: source points ``(n_s, *event_shape)``.
            ys: accepted as in POT, never used.
            Xt: target points ``(n_t, *event_shape)``.
            yt: accepted as in POT, never used.
            checkpoint: a file; where it exists, the fit goes on from it and ends as if it had
                never been interrupted.

        ``KeyboardInterrupt`` ends the fit early and keeps what was learned; so does a loss that
        diverges. ``status_`` says so.

        Raises:
            ValueError, TypeError: bad data or parameters, before anything is compiled.
        """
        began = time.perf_counter()
        configs = self._configs()
        source, target = check_pair(Xs, Xt, dtype=self.dtype)
        backend = get_backend(self.backend)
        event_shape = source.shape[1:]
        seeds = np.random.SeedSequence(self.seed).spawn(8)
        flow_role, flow_arrays = backend.init(
            Flow, self.transform_spec, event_shape, np.random.default_rng(seeds[0])
        )
        density_role, density_arrays = backend.init(
            Density, self.density, event_shape, np.random.default_rng(seeds[1])
        )
        self._check_support(source, "Xs")
        self._check_support(target, "Xt")
        data, held_out = self._split(source, target, np.random.default_rng(seeds[2]))
        file = None
        if checkpoint is not None:
            file = Checkpoint(
                checkpoint,
                fingerprint=self._fingerprint(source, target, flow_arrays, density_arrays),
                every=self.checkpoint_every,
            )
        stages = Stages(
            backend, density_role, checkpoint=file, dtype=self.dtype, progress=self.progress
        )

        # All densities start from the same arrays, so that the bound does not compare starts.
        initial = {"density": density_arrays}
        with stages:
            result, *private = stages.run(
                Stage(
                    "flow",
                    likelihood_ratio,
                    (flow_role, density_role),
                    {"transform": flow_arrays, **initial},
                    data,
                    configs["flow"],
                    seeds[5],
                    held_out,
                ),
                *(
                    stages.density(f"private {side}", initial, x, configs["private"], seed)
                    for (side, x), seed in zip(data.items(), seeds[3:5], strict=True)
                ),
            )

            self._event_shape = event_shape
            self.transform_ = backend.model(flow_role, result.arrays["transform"], self.dtype)
            self.density_ = backend.model(density_role, result.arrays["density"], self.dtype)
            shared = {"density": result.arrays["density"]}
            moved = {"source": self.transform_.forward(data["source"])[0], "target": data["target"]}
            refitted = stages.run(
                *(
                    stages.density(f"refit {side}", shared, x, configs["refit"], seed)
                    for (side, x), seed in zip(moved.items(), seeds[6:8], strict=True)
                )
            )
        for kind, results in (("private", private), ("refitted", refitted)):
            for side, fitted in zip(("source", "target"), results, strict=True):
                model = backend.model(density_role, fitted.arrays["density"], self.dtype)
                setattr(self, f"{kind}_{side}_", model)
        self.complete_ = stages.failure is None
        self.constant_ = float(
            np.mean(self.private_source_.log_prob(data["source"]))
            + np.mean(self.private_target_.log_prob(data["target"]))
        )
        self.history_ = dict(result.history)
        for name in ("loss", "validation_loss"):
            if name in self.history_:
                self.history_[name] = self.history_[name] + self.constant_
        self.snapshots_ = [
            (
                step,
                backend.model(flow_role, arrays["transform"], self.dtype),
                backend.model(density_role, arrays["density"], self.dtype),
            )
            for step, arrays in result.snapshots
        ]
        name, failed = stages.failure or ("flow", result)
        self.outcome_ = failed.outcome
        self.status_ = failed.status if name == "flow" else f"{name}: {failed.status}"
        self.n_steps_ = result.steps
        self.seconds_ = time.perf_counter() - began
        return self

    def certificate(self, Xs: Any, Xt: Any) -> Certificate:
        """Held-out evidence whether T(A) and B are indistinguishable to the family M.

        Args:
            Xs: held-out source points ``(n_s, *event_shape)``.
            Xt: held-out target points ``(n_t, *event_shape)``.

        The private models and the refitted copies were fitted to the training data by `fit`.
        """
        source = self._check_new(Xs, "Xs", minimum=2)
        target = self._check_new(Xt, "Xt", minimum=2)
        if not self.complete_:
            raise NotFittedError(
                "the fit did not reach the end, so there is nothing to certify "
                f"({self.status_}); fit again, from a checkpoint if there is one"
            )
        moved, log_det = self.transform_.forward(source)
        self._check_support(moved, "the image of Xs")
        self._check_support(target, "Xt")
        shared_source = self.density_.log_prob(moved)
        shared_target = self.density_.log_prob(target)
        # Where log-densities overflow to -inf their differences are NaN; the verdict says so.
        with np.errstate(invalid="ignore"):
            return Certificate.from_terms(
                gain_source=self.refitted_source_.log_prob(moved) - shared_source,
                gain_target=self.refitted_target_.log_prob(target) - shared_target,
                bound_source=self.private_source_.log_prob(source) - log_det - shared_source,
                bound_target=self.private_target_.log_prob(target) - shared_target,
                tolerance=self.tolerance,
            )

    def score(self, Xs: Any, Xt: Any) -> float:
        """Minus the held-out LRMF loss with its constant, in nats: higher is better."""
        return -self.certificate(Xs, Xt).bound

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted aligner to a file of named arrays and JSON; snapshots are left out."""
        self._fitted_flow()
        persistence.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: Literal["jax", "tfp"] | None = None,
        transform: Any = None,
        density: Any = None,
    ) -> LRMF:
        """Read a file that `save` wrote, into either backend.

        Args:
            path: the file.
            backend: ``"jax"`` or ``"tfp"``; by default the one that it was fitted with.
            transform: where the flow was an object of a backend's library, one of the same kind.
            density: likewise.
        """
        return persistence.load(cls, path, backend=backend, transform=transform, density=density)

    def _configs(self) -> dict[str, FitConfig]:
        """Check the parameters, and give the settings of each stage."""
        check_dtype(self.dtype)
        check_seed(self.seed)
        check_fraction("validation_fraction", self.validation_fraction)
        if self.patience is not None and not self.validation_fraction:
            raise ValueError("patience needs held-out data: set validation_fraction, such as 0.1")
        check_positive_number("tolerance", self.tolerance)
        common = {
            name: getattr(self, name)
            for name in ("batch_size", "learning_rate", "schedule", "gradient_clip")
        }
        flow = FitConfig(
            steps=self.steps,
            snapshot_every=self.snapshot_every,
            patience=self.patience,
            **common,
        )
        private = self.steps if self.private_steps is None else self.private_steps
        refit_learning_rate = self.refit_learning_rate
        if refit_learning_rate is None:
            share = 1.0 if isinstance(self.density, (Gaussian, Histogram)) else 0.1
            refit_learning_rate = share * self.learning_rate
        check_positive_number("refit_learning_rate", refit_learning_rate)
        check_positive_int("private_steps", private)
        check_positive_int("refit_steps", self.refit_steps)
        check_positive_int("checkpoint_every", self.checkpoint_every)
        return {
            "flow": flow,
            "private": FitConfig(steps=private, **common),
            "refit": FitConfig(
                steps=self.refit_steps, **common | {"learning_rate": refit_learning_rate}
            ),
        }

    def _check_support(self, x: np.ndarray, argument: str) -> None:
        """Refuse points where every density of the family M is zero."""
        if isinstance(self.density, Spec):
            self.density.check_points(x, argument)

    def _split(
        self, source: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
        """Training data and, where asked for, validation data."""
        data = {"source": source, "target": target}
        if not self.validation_fraction:
            return data, None
        held_out = {}
        for side, x in data.items():
            count = max(1, round(self.validation_fraction * len(x)))
            if len(x) - count < 2:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} leaves "
                    f"{len(x) - count} of {len(x)} {side} points to learn from; lower it"
                )
            rows = rng.permutation(len(x))
            held_out[side], data[side] = x[rows[:count]], x[rows[count:]]
        return data, held_out

    def _fingerprint(
        self, source: np.ndarray, target: np.ndarray, *initial: Mapping[str, np.ndarray]
    ) -> str:
        """Identifies what decides a fit's outcome: parameters, data and initial arrays.

        The initial arrays follow from seed and specs, but not those of a library's own objects.
        """
        described = {
            name: repr(value)
            for name, value in self.get_params().items()
            if name not in ("progress", "checkpoint_every", "tolerance")
        }
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        for x in (source, target, *(x for arrays in initial for x in arrays.values())):
            digest.update(repr(x.shape).encode())
            digest.update(np.ascontiguousarray(x).tobytes())
        return digest.hexdigest()
