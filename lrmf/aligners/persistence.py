"""Saving and loading fitted aligners: named arrays and JSON, never pickle.

`lrmf.storage` says what is promised of the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .. import storage
from ..backends import get_backend
from ..backends.base import Role
from ..checks import plain
from ..specs import Arrays, Spec, spec_from_json, spec_to_json
from ..standardization import Standardization
from .units import Units

if TYPE_CHECKING:
    from .base import Aligner as BaseAligner
    from .trained import TrainedAligner

__all__ = ["check_all_known", "load", "read", "save", "write"]

Aligner = TypeVar("Aligner", bound="TrainedAligner")
AnyAligner = TypeVar("AnyAligner", bound="BaseAligner")

#: A fact of fits to data frames alone.
_NAMES = "feature_names_in_"
#: Where a file holds how points were standardised: of versions before 3 one way for all domains.
_UNITS = ("standardization_", "standardizations_")
_PARTS = {"event_shape": list, "parameters": dict, "facts": dict}


def save(aligner: TrainedAligner, path: str | os.PathLike[str]) -> None:
    """Write a fitted aligner."""
    arrays = {
        f"{model}/{name}": value
        for model in aligner._fitted_recipe.models()
        for name, value in getattr(aligner, model).arrays.items()
    }
    arrays |= {f"history_/{name}": value for name, value in aligner.history_.items()}
    for domain, units in (aligner.standardizations_ or {}).items():
        own = units.arrays()
        arrays |= {f"standardizations_/{domain}/{name}": value for name, value in own.items()}
    facts = {name: getattr(aligner, name) for name in aligner._facts}
    for k, (_, flow, density) in enumerate(aligner.snapshots_):
        for role, own in aligner._fitted_recipe.frame_arrays(flow, density).items():
            arrays |= {f"snapshots_/{k}/{role}/{name}": value for name, value in own.items()}
    arrays["snapshots_/step"] = np.array([step for step, *_ in aligner.snapshots_], dtype=np.int64)
    # The parameters may have been set to others since.
    write(aligner, path, arrays, facts, aligner._fitted_parameters)


def write(
    aligner: BaseAligner,
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> None:
    """Write what any aligner has, with arrays and facts of its own."""
    if (names := getattr(aligner, _NAMES, None)) is not None:
        facts = {**facts, _NAMES: list(names)}
    document = {
        "kind": type(aligner).__name__,
        "event_shape": list(aligner.event_shape_),
        "parameters": {k: _to_json(v) for k, v in parameters.items()},
        "facts": dict(facts),
    }
    storage.write(path, arrays, document)


def load(
    cls: type[Aligner],
    path: str | os.PathLike[str],
    *,
    backend: str | None,
    models: Mapping[str, Any],
) -> Aligner:
    """Read a fitted aligner into a backend."""
    aligner, arrays = read(cls, path, {**models, "backend": backend})
    engine = get_backend(aligner.backend)
    recipe = aligner._recipe(getattr(aligner, "domains_", ("source", "target")))
    known = list(dict.fromkeys(recipe.parts[name].parameter for name in recipe.models().values()))
    for name in models:
        if name not in known:
            raise TypeError(
                f"{cls.__name__}.load takes the models {', '.join(map(str, known))}, got {name!r}"
            )
    # Only names and shapes of the initial arrays are used here.
    rng = np.random.default_rng(0)
    domains = [domain for domain in recipe.maps if domain not in recipe.noise]
    units = Units(recipe, _standardizations(arrays, aligner, domains, path))
    private = {fit.attribute: fit.domain for fit in recipe.private}
    roles, initial = {}, {}
    for name, part in recipe.parts.items():
        roles[name], initial[name] = engine.init(
            part.kind, units.spec(name), aligner.event_shape_, rng
        )
    fitted = {}
    for attribute, name in recipe.models().items():
        own = _below(arrays, f"{attribute}/")
        _check_names(roles[name], initial[name], own, path)
        model = engine.model(roles[name], own, aligner.dtype)
        fitted[attribute] = units.restored(name, model, private.get(attribute))
    known_arrays = (*recipe.models(), "history_", "snapshots_", *_UNITS)
    check_all_known(arrays, known_arrays, path)
    own = {role: fitted[p.attribute] for role, p in recipe.parts.items() if p.attribute}
    snapshots = []
    # Files of the first versions have none.
    for k, step in enumerate(arrays.get("snapshots_/step", ())):
        parts = {}
        for name in recipe.parts:
            shown = _below(arrays, f"snapshots_/{k}/{name}/")
            if shown or not initial[name]:
                _check_names(roles[name], initial[name], shown, path)
                parts[name] = units.restored(name, engine.model(roles[name], shown, aligner.dtype))
        snapshots.append((int(step), *recipe.frame(parts)))
    aligner.__dict__.update(
        fitted | recipe.attributes(own),
        standardization_=units.meeting,
        standardizations_=units.domains,
        history_=_below(arrays, "history_/"),
        snapshots_=snapshots,
        _fitted_recipe=recipe,
        _fitted_parameters=aligner.get_params(deep=False),
        _fitted_names=(
            *fitted,
            *recipe.attributes(own),
            *aligner._facts,
            "history_",
            "snapshots_",
            "standardization_",
            "standardizations_",
            _NAMES,
        ),
    )
    return aligner


def read(
    cls: type[AnyAligner], path: str | os.PathLike[str], given: Mapping[str, Any]
) -> tuple[AnyAligner, Arrays]:
    """Read what `write` wrote: an aligner that lacks only its arrays, and these.

    ``given`` parameters take the place of stored ones.
    """
    arrays, document = storage.read(path, cls.__name__)
    missing = [part for part, kind in _PARTS.items() if not isinstance(document.get(part), kind)]
    if missing:
        raise ValueError(f"{path} is damaged: it lacks {', '.join(missing)}; save the model again")
    stored, facts = document["parameters"], document["facts"]
    # Files of the first versions know of no standardisation, and of one start.
    for name, value in (("standardize", False), ("start", "identity")):
        if name in cls._get_param_names():
            stored.setdefault(name, value)
    unknown = [
        *(name for name in stored if name not in cls._get_param_names()),
        *(name for name in facts if name not in (*cls._facts, _NAMES)),
    ]
    if unknown:
        raise ValueError(
            f"{path} is damaged, or of another version of lrmf: a {cls.__name__} has no "
            f"{', '.join(unknown)}; save the model again"
        )
    # Facts that came later have defaults.
    lacking = [name for name in cls._facts if name not in facts and not hasattr(cls, name)]
    if lacking:
        raise ValueError(f"{path} is damaged: it lacks {', '.join(lacking)}; save the model again")
    try:
        restored = {
            name: _from_json(name, stored[name], path) if given.get(name) is None else given[name]
            for name in stored
        }
    except RecursionError as error:
        raise ValueError(f"{path} is damaged: its parameters are nested without end") from error
    aligner = cls(**restored)
    aligner._event_shape = tuple(document["event_shape"])
    for name, value in facts.items():
        setattr(aligner, name, tuple(value) if isinstance(value, list) else value)
    if _NAMES in facts:
        aligner.feature_names_in_ = np.asarray(aligner.feature_names_in_, dtype=object)
    return aligner, arrays


def check_all_known(arrays: Mapping[str, Any], owners: Iterable[str], path: Any) -> None:
    """Refuse arrays that belong to nothing."""
    unknown = [name for name in arrays if name.partition("/")[0] not in owners]
    if unknown:
        raise ValueError(
            f"{path} is damaged, or of another version of lrmf: no model has the arrays "
            f"{', '.join(unknown)}; save the model again"
        )


def _standardizations(
    arrays: Mapping[str, np.ndarray],
    aligner: TrainedAligner,
    domains: Sequence[str],
    path: Any,
) -> dict[str, Standardization] | None:
    of_all, of_each = (_below(arrays, f"{name}/") for name in _UNITS)
    if of_all:
        of_each = {f"{domain}/{name}": x for domain in domains for name, x in of_all.items()}
    if not aligner.standardize and not of_each:
        return None
    size = (aligner.event_shape_[-1],)
    expected = {f"{domain}/{name}": size for domain in domains for name in ("location", "scale")}
    if {k: v.shape for k, v in of_each.items()} != expected:
        raise ValueError(
            f"{path} is damaged: its standardisation does not fit points of shape "
            f"{aligner.event_shape_}; save the model again"
        )
    found = {domain: Standardization(**_below(of_each, f"{domain}/")) for domain in domains}
    first = found[domains[0]]
    return {domain: first if own == first else own for domain, own in found.items()}


def _check_names(
    role: Role, expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], path: Any
) -> None:
    shapes = [{k: np.shape(v) for k, v in arrays.items()} for arrays in (expected, found)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the arrays in {path} do not fit the {role.name} {role.spec}")


def _below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _to_json(value: Any) -> Any:
    if isinstance(value, Spec):
        return {"spec": spec_to_json(value)}
    value = plain(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_to_json(entry) for entry in value]
    return {"foreign": f"{type(value).__module__}.{type(value).__qualname__}"}


def _from_json(name: str, value: Any, path: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(name, entry, path) for entry in value)
    if not isinstance(value, dict):
        return value
    if "spec" in value:
        return spec_from_json(value["spec"])
    raise ValueError(
        f"the {name} in {path} was a {value['foreign']}, which the file can't hold; pass one of "
        f"the same structure: load(path, {name}=...)"
    )
