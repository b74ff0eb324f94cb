"""The interface of a backend: few methods, alike in every backend, file by file."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..models import Classifier, Density, Flow, Map, Model
from ..specs import Arrays, Discriminator, Network, PartialShape, Shape, Spec
from ..specs.base import fits
from .kinds import check_dtype, check_kind
from .processes import OneProcess

__all__ = ["Backend", "Game", "Loss", "GamePlayer", "Role", "Trainer", "as_game", "gather"]

#: A loss for training: models by role name, batches by data name -> a scalar of the backend.
Loss = Callable[[dict[str, Any], dict[str, Any]], Any]


@dataclass(frozen=True)
class Role:
    """A model's part in a loss: its name there, what it is, and its spec."""

    name: str
    kind: type[Model]
    spec: Any
    event_shape: PartialShape | None

    def exact(self) -> Role:
        """The role outside of training, where nothing is estimated."""
        if not isinstance(self.spec, Spec):
            return self
        return dataclasses.replace(self, spec=self.spec.exact())


@dataclass(frozen=True, kw_only=True)
class GamePlayer:
    """One side of a game, which minimises its loss over its own models.

    Attributes:
        name: of the player, in the history.
        roles: names of the models that it moves; their gradients alone are computed.
        loss: what it minimises, given all models.
        updates: how often it moves in each step, each time on a minibatch of its own.
        rate: its learning rate, as a multiple of the fit's.
        betas: Adam's decay rates of the gradients' means and mean squares.
    """

    name: str
    roles: tuple[str, ...]
    loss: Loss
    updates: int = 1
    rate: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Game:
    """Players that move one after the other in each step; a fit is about the last one's loss."""

    players: tuple[GamePlayer, ...]

    @property
    def updates(self) -> int:
        """How many minibatches a step takes."""
        return sum(player.updates for player in self.players)


def as_game(loss: Loss | Game, roles: tuple[Role, ...]) -> Game:
    """A plain loss as the game of one player that moves every model."""
    if isinstance(loss, Game):
        return loss
    return Game((GamePlayer(name="", roles=tuple(role.name for role in roles), loss=loss),))


#: How many rows a compiled call takes at once: few, or many.
ROWS = (256, 2048)


class Trainer(ABC):
    """Runs chunks of optimiser steps inside one compiled call, minibatches gathered on the host.

    So the number of points is no part of what a step compiles: only the minibatches' shape is.
    (`evaluate` compiles for the number of held-out points, of which `lrmf.minibatches.whole` makes
    one of few.)

    ``state`` is immutable and owned by the backend: keep a reference to it, and assign it again,
    to go back.
    """

    state: Any

    @abstractmethod
    def run(
        self,
        indices: Mapping[str, np.ndarray],
        learning_rates: np.ndarray,
        extra: Mapping[str, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Take one step per row of ``indices``; return each step's losses.

        For a loss, ``indices`` are ``(steps, batch)`` and the result is ``(steps,)``. For a
        `Game` they are ``(steps, updates, batch)`` and ``(steps, players)``, of each player's
        last update in the step. A loss is that before the update.

        The batch of a step has the rows of the data and the row of each ``extra`` array.
        """

    @abstractmethod
    def evaluate(self, data: Mapping[str, np.ndarray]) -> float:
        """The loss (of a game, the last player's) of the current arrays on whole data sets."""

    @abstractmethod
    def models(self) -> dict[str, Any]:
        """The models by role around the current arrays."""

    @abstractmethod
    def arrays(self) -> dict[str, Arrays]:
        """The current arrays by role, as NumPy arrays."""

    @abstractmethod
    def export_state(self) -> Arrays:
        """Everything needed to go on exactly from here, as named NumPy arrays."""

    @abstractmethod
    def import_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `export_state` gave."""


def gather(
    data: Mapping[str, Any], indices: Mapping[str, np.ndarray], updates: int, dtype: str
) -> dict[str, np.ndarray]:
    """The minibatches of a chunk, ``(steps, updates, batch, *event_shape)`` of each data set.

    No thread does it ahead: 100 batches of 256 of 10⁶ rows of 8 features take 1.6 ms, from an array
    as from a file that the system has read before, and 100 steps of the smallest networks 80.
    """
    return {
        name: np.asarray(x[indices[name].reshape(len(indices[name]), updates, -1)], dtype)
        for name, x in data.items()
    }


class Backend(OneProcess, ABC):
    """Computes with models. Methods take and give arrays of the backend, unless they say NumPy.

    >>> import lrmf
    >>> import numpy as np
    >>> spec, backend = lrmf.Affine(), lrmf.get_backend("jax")
    >>> flow = backend.flow(spec, spec.init((2,), np.random.default_rng(0)))
    >>> image, log_det = flow.forward(np.zeros((5, 2)))
    >>> image.shape, log_det.shape
    ((5, 2), (5,))
    """

    name: str

    def flow(
        self,
        spec: Any,
        arrays: Mapping[str, np.ndarray] | None = None,
        dtype: str = "float32",
        *,
        event_shape: Shape | None = None,
    ) -> Flow:
        """A flow from a spec and its arrays, or from a flow of the backend's own library.

        Its event shape needs to be given only to narrow down what the arrays tell: those of a
        convolution fit images of any height and width.
        """
        return self._model(Flow, spec, arrays, dtype, event_shape)

    def density(
        self,
        spec: Any,
        arrays: Mapping[str, np.ndarray] | None = None,
        dtype: str = "float32",
        *,
        event_shape: Shape | None = None,
    ) -> Density:
        """A density. A flow spec (or a library's flow) f gives that of f(z), z ~ N(0, I).

        As in `flow`, an event shape needs to be given only where arrays fit several: without one,
        such a density can't be sampled.
        """
        return self._model(Density, spec, arrays, dtype, event_shape)

    def classifier(
        self,
        spec: Discriminator,
        arrays: Mapping[str, np.ndarray] | None = None,
        dtype: str = "float32",
    ) -> Classifier:
        """A classifier of points from a spec and its arrays."""
        return self._model(Classifier, spec, arrays, dtype)

    def map(
        self,
        spec: Network,
        arrays: Mapping[str, np.ndarray] | None = None,
        dtype: str = "float32",
    ) -> Map:
        """A map without an inverse from a spec and its arrays."""
        return self._model(Map, spec, arrays, dtype)

    def _model(
        self, kind: Any, spec: Any, arrays: Any, dtype: str, given: Shape | None = None
    ) -> Any:
        check_dtype(dtype)
        check_kind(kind, spec)
        if isinstance(spec, Spec):
            if arrays is None:
                raise ValueError(
                    f"{type(spec).__name__} needs arrays; make them with "
                    "spec.init(event_shape, numpy.random.default_rng(seed))"
                )
            event_shape = spec.check_arrays(arrays)
        else:
            name = type(spec).__name__
            spec, own_arrays, event_shape = self.adopt(spec, kind)
            if arrays is None:
                arrays = own_arrays
            elif (shapes := _shapes(arrays)) != (expected := _shapes(own_arrays)):
                raise ValueError(f"expected arrays {expected} for this {name}, got {shapes}")
        if given is not None:
            if not fits(tuple(given), event_shape):
                raise ValueError(f"the arrays are for event shape {event_shape}, got {given}")
            if isinstance(spec, Spec):
                spec.shapes(event_shape := tuple(given))
        return self.model(Role("model", kind, spec, event_shape), arrays, dtype)

    def init(
        self, kind: Any, spec: Any, event_shape: Shape, rng: np.random.Generator
    ) -> tuple[Role, Arrays]:
        """A model's role, named after its kind, and its initial arrays."""
        self.check_process()
        check_kind(kind, spec)
        names = {Flow: "transform", Map: "transform", Density: "density", Classifier: "adversary"}
        name = names[kind]
        if isinstance(spec, Spec):
            return Role(name, kind, spec, event_shape), spec.init(event_shape, rng)
        adopted, arrays, found = self.adopt(spec, kind)
        if found is not None and found != event_shape:
            raise ValueError(
                f"{name}: {type(spec).__name__} has event shape {found}, "
                f"but the data have {event_shape}"
            )
        return Role(name, kind, adopted, event_shape), arrays

    def model(self, role: Role, arrays: Mapping[str, np.ndarray], dtype: str) -> Any:
        """The model in a role, around NumPy arrays."""
        self.check_process()
        role = role.exact()
        with self.scope(dtype):
            native = {name: self.asarray(value, dtype) for name, value in arrays.items()}
        return role.kind(role.spec, native, self, dtype=dtype, event_shape=role.event_shape)

    @abstractmethod
    def adopt(self, model: Any, kind: Any) -> tuple[Any, Arrays, Shape | None]:
        """Spec stand-in, arrays and event shape of a model of the backend's own library.

        Raises ``TypeError`` for anything else, ``ValueError`` where nothing can be trained.
        """

    def thread_safe(self, role: Role) -> bool:
        """Whether several threads may compute with a role's spec at a time."""
        return True

    @abstractmethod
    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        """The context in which arrays of this dtype may be made and used."""

    @abstractmethod
    def is_native(self, x: Any) -> bool:
        """Whether x is an array of the backend."""

    @abstractmethod
    def is_known(self, x: Any) -> bool:
        """Whether an array of the backend has values: in a function under compilation, not yet."""

    @abstractmethod
    def asarray(self, x: Any, dtype: str) -> Any:
        """NumPy to backend."""

    @abstractmethod
    def namespace(self, *arrays: Any) -> Any:
        """The module whose functions, named as NumPy's, compute with these arrays.

        NumPy itself where all of them are NumPy arrays. Constants take a dtype with them: functions
        (not operators) of TensorFlow promote float32 arrays beside Python numbers to float64.
        """

    @abstractmethod
    def call(self, method: str, spec: Any, arrays: Mapping[str, Any], x: Any) -> Any:
        """`forward`, `inverse`, `log_prob`, `push` (noise to samples), `logits`, `image` of models.

        Flows that solve differential equations have `forward_evaluations` and
        `inverse_evaluations`, too.
        """

    def call_numpy(
        self, method: str, spec: Any, arrays: Mapping[str, Any], x: np.ndarray, dtype: str
    ) -> Any:
        """The same from NumPy to NumPy, some rows at a time.

        Points go through in chunks of one of two sizes, `ROWS`, padded with points of the same
        chunk: a new number of points compiles nothing, and memory does not grow with it. An
        adaptive solver chooses its steps for a chunk. No rows go as one row of zeros.
        """
        if method.endswith("_evaluations") or not (len(x) or isinstance(spec, Spec)):
            return self.call_rows(method, spec, arrays, x, dtype)
        results, points = [], x if len(x) else np.zeros((1, *x.shape[1:]))
        for start in range(0, len(points), ROWS[-1]):
            chunk = points[start : start + ROWS[-1]]
            n = len(chunk)
            rows = next(rows for rows in ROWS if n <= rows)
            padded = chunk if n == rows else chunk[np.arange(rows) % n]
            result = self.call_rows(method, spec, arrays, padded, dtype)
            results.append(result if isinstance(result, tuple) else (result,))
        joined = tuple(np.concatenate(parts)[: len(x)] for parts in zip(*results, strict=True))
        return joined if len(joined) > 1 else joined[0]

    @abstractmethod
    def call_rows(
        self, method: str, spec: Any, arrays: Mapping[str, Any], x: np.ndarray, dtype: str
    ) -> Any:
        """`call` from NumPy to NumPy with all rows at once."""

    def sample(
        self,
        spec: Any,
        arrays: Mapping[str, Any],
        n: int,
        seed: int,
        event_shape: Shape,
        dtype: str,
    ) -> np.ndarray:
        """n samples of a density, NumPy noise pushed through it."""
        noise = np.random.default_rng(seed).standard_normal((n, *event_shape))
        return self.call_numpy("push", spec, arrays, noise, dtype)

    @abstractmethod
    def trainer(
        self,
        loss: Loss | Game,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        data: Mapping[str, Any],
        *,
        gradient_clip: float,
        dtype: str,
        devices: int | None = None,
    ) -> Trainer:
        """A trainer of the models in ``roles`` by Adam after clipping the gradient's norm.

        In a game each player clips its own gradient and keeps its own moments. Batches are divided
        over so many devices, on all hosts together.
        """

    @abstractmethod
    def count_devices(self, devices: int | Literal["all"] | None) -> int | None:
        """How many devices a parameter ``devices`` stands for; ``None`` for one without a mesh.

        Raises ``ValueError`` where there are not so many, or the backend can't use them.
        """

    def writes_files(self) -> bool:
        """Whether this process, of all that fit together, is the one that writes."""
        return True

    @abstractmethod
    def loss_and_gradients(
        self,
        loss: Loss,
        roles: tuple[Role, ...],
        arrays: Mapping[str, Arrays],
        batch: Mapping[str, np.ndarray],
        *,
        dtype: str,
    ) -> tuple[float, dict[str, Arrays]]:
        """A loss and its gradients by role and array name, as NumPy arrays."""

    def models(self, roles: tuple[Role, ...], arrays: Mapping[str, Any], dtype: str) -> Any:
        """Models by role name around arrays of the backend (tracers included)."""
        return {
            role.name: role.kind(
                role.spec, arrays[role.name], self, dtype=dtype, event_shape=role.event_shape
            )
            for role in roles
        }


def _shapes(arrays: Mapping[str, Any]) -> dict[str, Shape]:
    return {name: tuple(np.shape(value)) for name, value in arrays.items()}
