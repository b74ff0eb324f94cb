"""What aligners that learn by gradient steps share, as users meet it: fit, map, save and load."""

from __future__ import annotations

import contextlib
import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.exceptions import NotFittedError

from ..backends import get_backend
from ..backends.kinds import check_dtype
from ..checkpoints import Checkpoint
from ..checks import check_bool, check_fraction, check_positive_int, check_seed
from ..failures import DivergenceWarning, warn
from ..fingerprints import fingerprint
from ..fitting import FitConfig, Schedule
from ..judge.seen import Remembered
from ..models import Density, Flow
from ..points import Rows, check_features, check_new_names, check_rows, feature_names, weighted
from ..specs import Arrays, Shape
from ..standardization import Standardization, Standardize, check_standardize
from . import persistence
from .base import Aligner
from .labels import check_labels, with_labels
from .recipe import Recipe, run

__all__ = ["TrainedAligner"]


class TrainedAligner(Aligner):
    """An aligner whose flow is learned by Adam on minibatches, as its recipe says.

    Attributes:
        transform_: the fitted flow, a `Flow`.
        standardizations_: by domain, the `lrmf.standardization.Standardization` that its points
            passed first, with its ``location`` and ``scale``; ``None`` without. All models are of
            data in their own units.
        standardization_: that of the last domain, and of all unless the domains are far apart.
        history_: ``step`` and ``loss`` of every step, and ``validation_step`` and
            ``validation_loss`` where data were held out.
        status_: what happened and, if it went wrong, the cure; ``outcome_`` is its first word
            or two: finished, stopped early, diverged, interrupted.
        complete_: whether every part of the fit came to its end.
        n_steps_, seconds_: steps behind the flow, and time for all of the fit.
        snapshots_: ``(step, transform, density)`` triples; the density is ``None`` for an
            aligner that has none.
    """

    _facts: ClassVar[tuple[str, ...]] = (
        "complete_", "status_", "outcome_", "n_steps_", "seconds_",
    )  # fmt: skip
    #: Parameters that don't change what a fit gives.
    _indifferent: ClassVar[tuple[str, ...]] = (
        "progress", "checkpoint_every", "tolerance", "devices",
    )  # fmt: skip

    #: The family of the labels' shared densities, of an aligner that learns from labels if asked.
    label_density: Any = None
    transform_spec: Any
    backend: Literal["jax", "tfp"]
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    standardize: Standardize
    schedule: Schedule
    gradient_clip: float
    validation_fraction: float
    patience: int | None
    snapshot_every: int | None
    checkpoint_every: int
    dtype: Literal["float32", "float64"]
    devices: int | Literal["all"] | None
    progress: bool

    transform_: Flow
    standardization_: Standardization | None
    standardizations_: Mapping[str, Standardization] | None
    history_: dict[str, np.ndarray]
    snapshots_: list[tuple[int, Flow, Density | None]]
    complete_: bool
    outcome_: str
    status_: str

    #: Of the last fit: its recipe, and the parameters that it had.
    _fitted_recipe: Recipe
    _fitted_parameters: dict[str, Any]
    _fitted_names: tuple[str, ...] = ()

    @abstractmethod
    def _recipe(self, domains: Sequence[str]) -> Recipe:
        """What is fitted when, for domains of these names, the first to be mapped to the last."""

    def _choose_models(self, event_shape: Shape) -> None:
        """Set parameters that were left to the data; they are fitted and saved like others."""

    @property
    def _standardize(self) -> Standardize:
        """How to standardise, in view of other parameters."""
        return self.standardize

    def _check_parameters(self) -> None:
        """Refuse bad parameters; a subclass checks its own, too."""
        check_dtype(self.dtype)
        check_seed(self.seed)
        check_fraction("validation_fraction", self.validation_fraction)
        if self.patience is not None and not self.validation_fraction:
            raise ValueError("patience needs held-out data: set validation_fraction, such as 0.1")
        check_positive_int("checkpoint_every", self.checkpoint_every)
        check_standardize(self.standardize)
        check_bool("progress", self.progress)
        self._config()

    def fit(
        self,
        Xs: Any = None,
        ys: Any = None,
        Xt: Any = None,
        yt: Any = None,
        *,
        sample_weight_s: Any = None,
        sample_weight_t: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Learn the flow from source and target points.

        Args:
            Xs: source points ``(n_s, *event_shape)``: an array, or anything with ``shape``,
                ``dtype`` and row indexing, such as a memory map. It is not copied.
            ys: source labels ``(n_s,)``, integers, -1 where unknown. Only an `LRMF` with a
                ``label_density`` uses them; by default they are ignored.
            Xt: target points ``(n_t, *event_shape)``.
            yt: target labels ``(n_t,)``, likewise.
            sample_weight_s, sample_weight_t: weights of the points ``(n_s,)`` and ``(n_t,)``, zero
                or positive; equal by default. Their scale does not matter.
            checkpoint: a file; where it exists, the fit goes on from it and ends as if it had
                never been interrupted. It is locked for the time of the fit, holds a hash of its
                content, and is replaced as a whole by each write.

        ``KeyboardInterrupt`` ends the fit early and keeps what was learned; so do a loss that
        diverges and a solver that gives up on all the data at once. ``status_`` says so. A fit
        that fails in any other way leaves the aligner as it was.

        Warns:
            DataWarning: data that no density describes: features that are constant, discrete,
                heavy-tailed or functions of others, repeated rows, lossy casts.
            DivergenceWarning: the fit diverged. `transform` of it warns again.

        Raises:
            ValueError, TypeError: bad data or parameters, before anything is compiled; points
                that changed during the fit; a checkpoint that is damaged, of another fit, or in
                use.
            OSError: the checkpoint can't be written from the start. Later on that is a
                ``CheckpointWarning``, and the fit goes on.
            SolverError: the solver gave up, and nothing had been learned.
        """
        return self._fit(
            {"source": (Xs, "Xs"), "target": (Xt, "Xt")},
            {
                "source": (sample_weight_s, "sample_weight_s"),
                "target": (sample_weight_t, "sample_weight_t"),
            },
            checkpoint,
            {"source": ys, "target": yt},
        )

    def _fit(
        self,
        given: Mapping[str, tuple[Any, str]],
        given_weights: Mapping[str, tuple[Any, str]],
        checkpoint: str | os.PathLike[str] | None,
        given_labels: Mapping[str, Any] | None = None,
        *,
        noise: Mapping[str, Callable[[Shape], np.ndarray]] | None = None,
    ) -> Self:
        """Fit to domains and weights, each with the name of the argument that held it.

        Domains that are noise are drawn, when the others are checked, in the shape of their points.
        """
        own = self._plain()
        own._check_parameters()
        names = feature_names({argument: x for x, argument in given.values()})
        domains: dict[str, Rows] = {}
        for domain, (x, argument) in given.items():
            # What the model is given must not overflow: standardised points don't.
            dtype = "float64" if own.standardize else own.dtype
            domains[domain] = check_rows(x, argument, minimum=2, dtype=dtype)
        (first, (_, like)), *others = given.items()
        for domain, (_, argument) in others:
            check_features(domains[domain], argument, domains[first].shape[1:], like)
        own._choose_models(domains[first].shape[1:])
        labels: dict[str, np.ndarray] = {}
        if own.label_density is not None and given_labels is not None:
            labels = check_labels(given_labels, domains)
        weights: dict[str, np.ndarray | None] = {}
        for domain, (w, argument) in given_weights.items():
            domains[domain], weights[domain] = weighted(domains[domain], w, argument)
        arguments = {domain: argument for domain, (_, argument) in given.items()}
        for domain, draw in (noise or {}).items():
            arguments[domain], weights[domain] = "the noise", None
            domains[domain] = check_rows(draw(domains[first].shape[1:]), "the noise")

        backend = get_backend(own.backend)
        devices = backend.count_devices(own.devices)
        if devices is not None and own.batch_size % devices:
            raise ValueError(
                f"batch_size must be a multiple of the {devices} devices that share a batch, got "
                f"{own.batch_size}"
            )

        def file(initial: Mapping[str, Arrays]) -> Checkpoint | None:
            if checkpoint is None:
                return None
            opened = Checkpoint(
                checkpoint,
                fingerprint=own._fingerprint(
                    domains, [*weights.values(), *labels.values()], initial
                ),
                every=own.checkpoint_every,
                writes=backend.writes_files(),
            )
            return held.enter_context(opened)

        recipe = extended = own._recipe(tuple(domains))
        if labels:
            extended = with_labels(recipe, own.label_density, labels, own.batch_size)
        with contextlib.ExitStack() as held:
            result = run(
                extended,
                domains,
                backend=backend,
                seed=own.seed,
                dtype=own.dtype,
                weights=weights,
                arguments=arguments,
                names=names,
                standardize=own._standardize,
                validation_fraction=own.validation_fraction,
                checkpoint=file,
                progress=own.progress,
                devices=devices,
            )
        fitted = result.attributes() | (
            {} if names is None else {"feature_names_in_": np.array(names, object)}
        )
        if result.facts["outcome_"] == "diverged":
            message = f"{type(self).__name__}: {result.facts['status_']}"
            warn(message, DivergenceWarning)
        # In one statement; what an earlier fit left goes with it.
        self.__dict__ = {
            **{k: v for k, v in vars(self).items() if k not in self._fitted_names},
            **fitted,
            "_event_shape": next(iter(domains.values())).shape[1:],
            "_remembered": tuple(Remembered(rows) for rows in domains.values()),
            "_fitted_recipe": recipe,
            "_fitted_parameters": own.get_params(deep=False),
            "_fitted_names": tuple(fitted),
        }
        return self

    def _moved(self, x: Any, argument: str) -> np.ndarray:
        return self._mapped(x, lambda points: self.transform_.forward(points)[0], 0, argument)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Map target points to the source's domain, ``(n, *event_shape)``."""
        return self._mapped(X, lambda points: self.transform_.inverse(points)[0], -1)

    def _mapped(
        self,
        x: Any,
        function: Callable[[np.ndarray], np.ndarray],
        domain: int,
        argument: str = "X",
    ) -> np.ndarray:
        points = self._check_rows(x, argument, domain)
        if self.status_.startswith("diverged"):  # not so that of a density beside the map
            message = f"these points are mapped by a fit that {self.status_}"
            warn(message, DivergenceWarning)
        return points.through(function)[:]

    def _check_rows(self, x: Any, argument: str, domain: int, *, minimum: int = 1) -> Rows:
        """New points of a domain, given by its number."""
        self._check_fitted()
        check_new_names(self, x, argument)
        dtype = self._fitted_parameters["dtype"]
        units = None
        if self.standardizations_ is not None:
            units = list(self.standardizations_.values())[domain]
        points = check_rows(
            x, argument, minimum=minimum, dtype=dtype if units is None else "float64"
        )
        check_features(points, argument, self.event_shape_, "the data of fit")
        limit = float(np.finfo(dtype).max)
        if units is not None and units.bound(points.largest) > limit:
            largest = max(float(np.abs(z).max()) for z in points.seen_through(units.apply).chunks())
            if largest > limit:
                raise ValueError(
                    f"{argument} holds values up to {points.largest:.3g}, {largest:.3g} standard "
                    f"deviations from the data of fit: too large for {dtype}; drop them, or fit "
                    'with dtype="float64"'
                )
        return points

    def _check_new(self, x: Any, argument: str) -> np.ndarray:
        return np.array(self._check_rows(x, argument, -1)[:], dtype=np.float64)

    def _check_complete(self) -> None:
        if not self.complete_:
            raise NotFittedError(
                "the fit did not reach the end, so there is nothing to certify "
                f"({self.status_}); fit again, from a checkpoint if there is one"
            )

    def _config(self, **changes: Any) -> FitConfig:
        """The settings of the main part, or of another one with these changes."""
        settings: dict[str, Any] = {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule,
            "gradient_clip": self.gradient_clip,
            "snapshot_every": self.snapshot_every,
            "patience": self.patience,
        }
        return FitConfig(**settings | changes)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted aligner to a file of named arrays and JSON.

        The file holds a hash of its content and takes the place of an old one as a whole, with
        its permissions; of a symbolic link the target is written. Raises ``OSError`` where it
        can't be written, read-only files included.
        """
        self._check_fitted()
        persistence.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: Literal["jax", "tfp"] | None = None,
        **models: Any,
    ) -> Self:
        """Read a file that `save` wrote, with this version or an earlier one, into either backend.

        Args:
            path: the file.
            backend: ``"jax"`` or ``"tfp"``; by default the one that it was fitted with.
            models: for each parameter (``transform``, ...) that was an object of a backend's
                library, one of the same structure.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, of a later version, or of something else.
        """
        return persistence.load(cls, path, backend=backend, models=models)

    def _fingerprint(
        self,
        domains: Mapping[str, Rows],
        others: Sequence[np.ndarray | None],
        initial: Mapping[str, Arrays],
    ) -> str:
        """Identifies what decides a fit's outcome: parameters, data and initial arrays.

        The initial arrays follow from seed and specs, but not those of a library's own objects.
        """
        described = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self._indifferent
        }
        digest = hashlib.sha256(fingerprint(described).encode())
        arrays = [x for named in initial.values() for x in named.values()]
        for x in (*domains.values(), *others, *arrays):
            digest.update(str(None if x is None else (tuple(x.shape), str(x.dtype))).encode())
            chunks = x.chunks() if isinstance(x, Rows) else [] if x is None else [x]
            for chunk in chunks:
                digest.update(np.ascontiguousarray(chunk).tobytes())
        return digest.hexdigest()
