"""Fingerprints of what objects compute: alike in every process, another for another computation.

A checkpoint is of one fit, which the aligner's parameters decide; some of them may be objects of a
backend's library. What these print will not do: it may hold an address, or leave out a setting.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
import sys
import types
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from .checks import plain

__all__ = ["fingerprint"]

#: Names that libraries number through: they differ where the same is built again.
_LABELS = ("name", "_name")
_ADDRESS = re.compile("0x[0-9a-f]+")


def fingerprint(value: Any) -> str:
    """A SHA-256 of an object's structure, arrays and settings.

    Functions and classes count by where they can be imported from, those of a script by their code
    and what it uses; TFP's objects by what they were called with, others by their fields (flowjax),
    their configuration (Keras), or else all their attributes. An object that is made from scratch
    by the same calls has the same fingerprint.

    >>> fingerprint({"steps": np.int64(3), "cost": max}) == fingerprint({"cost": max, "steps": 3})
    True
    >>> fingerprint(lambda x: 2 * x) == fingerprint(lambda x: 3 * x)
    False
    """
    return _Fingerprints().of(value)


class _Fingerprints:
    def __init__(self) -> None:
        # By id; the objects are kept, so that no other one gets their number.
        self._known: dict[int, tuple[str, Any]] = {}
        self._within: list[int] = []

    def of(self, value: Any) -> str:
        value = plain(value)
        if id(value) in self._known:
            return self._known[id(value)][0]
        if id(value) in self._within:
            return f"the {self._within.index(id(value))}th around it"
        self._within.append(id(value))
        try:
            text = json.dumps(self._described(value))
        finally:
            self._within.pop()
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._known[id(value)] = digest, value
        return digest

    def _described(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        array = _as_array(value)
        if array is not None and array.dtype == object:
            value = array.tolist()
        elif array is not None:
            content = np.ascontiguousarray(array).tobytes()
            return [str(array.dtype), array.shape, hashlib.sha256(content).hexdigest()]
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, *map(self.of, value)]
        if isinstance(value, Mapping):
            return sorted((self.of(k), self.of(v)) for k, v in value.items() if k not in _LABELS)
        if isinstance(value, Set):
            return ["set", *sorted(map(self.of, value))]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        if found := _importable(value):
            return ["import", found]
        return [
            self.of(type(value)),
            *((name, self.of(part)) for name, part in _parts(value) if name not in _LABELS),
        ]


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What makes an object what it is."""
    if isinstance(value, types.FunctionType):
        yield "code", value.__code__
        yield "defaults", (value.__defaults__, value.__kwdefaults__)
        yield "closure", [cell.cell_contents for cell in value.__closure__ or ()]
        yield "globals", {name: value.__globals__.get(name) for name in value.__code__.co_names}
    elif isinstance(value, types.CodeType):
        yield "code", value.co_code.hex()
        yield "names", (value.co_names, value.co_varnames, value.co_freevars)
        yield "constants", value.co_consts
    elif isinstance(value, types.MethodType):
        yield "method", (value.__func__, value.__self__)
    elif isinstance(value, type):
        yield "class", (value.__module__, value.__qualname__, value.__bases__)
        yield "members", {k: v for k, v in vars(value).items() if callable(v)}
    elif isinstance(value, functools.partial):
        yield "partial", (value.func, value.args, value.keywords)
    elif isinstance(parameters := getattr(value, "parameters", None), Mapping):
        yield "parameters", parameters
        yield "variables", tuple(getattr(value, "variables", ()))
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield field.name, getattr(value, field.name, None)
    elif (configuration := _configuration(value)) is not None:
        yield "configuration", configuration
        yield "variables", tuple(value.variables)
    elif hasattr(value, "__wrapped__"):
        yield "wrapped", value.__wrapped__
    elif attributes := getattr(value, "__dict__", None):
        yield from sorted(attributes.items())
    else:
        yield "printed", _ADDRESS.sub("", repr(value))


def _configuration(value: Any) -> Any:
    try:
        return value.get_config() if hasattr(value, "variables") else None
    except (AttributeError, NotImplementedError):
        return None


def _as_array(value: Any) -> np.ndarray | None:
    if isinstance(value, type) or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return None
    try:
        return np.asarray(value)
    except (TypeError, ValueError, NotImplementedError):
        return None


def _importable(value: Any) -> str | None:
    """The name under which any process can import just this object, if there is one."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}.{name}" if found is value else None
