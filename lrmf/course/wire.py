"""Values between the process of a submission and that of its checks: JSON, never pickle.

What comes back from a submission is read by code that runs nothing of what it reads.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from lrmf.course.containment import Opaque
from lrmf.course.given import Stretch
from lrmf.course.numerics import Unwarp

__all__ = ["decode", "encode"]

# Functions that a check hands to an answer.
FUNCTIONS: dict[str, Any] = {"Stretch": Stretch, "Unwarp": Unwarp}
KINDS = "biuf"


def encode(value: Any) -> str:
    """Write a value as one line."""
    return json.dumps(_packed(value))


def decode(line: str) -> Any:
    """Read a line; raises ``ValueError`` for what :func:`encode` would not write."""
    try:
        return _unpacked(json.loads(line))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"a line that is no value: {error}") from error


def _packed(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, int) or abs(value) < 2**63 else float(value)
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in KINDS:
            return {"opaque": f"array of {value.dtype.name}"}
        array = np.ascontiguousarray(value)
        data = base64.b64encode(array.tobytes()).decode("ascii")
        return {"array": data, "dtype": array.dtype.str, "shape": list(array.shape)}
    if isinstance(value, tuple | list):
        return {"tuple": [_packed(part) for part in value]}
    if isinstance(value, frozenset):
        return {"set": [_packed(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _packed(part) for key, part in value.items()}}
    name = type(value).__name__
    if FUNCTIONS.get(name) is type(value):
        return {"function": name, "of": _packed(dict(vars(value)))}
    return {"opaque": value.kind if isinstance(value, Opaque) else name}


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        dtype = np.dtype(str(value["dtype"]))
        if dtype.kind not in KINDS:
            raise ValueError(f"no array of {dtype}")
        data = base64.b64decode(value["array"], validate=True)
        return np.frombuffer(data, dtype=dtype).reshape(value["shape"]).copy()
    if "tuple" in value:
        return tuple(_unpacked(part) for part in value["tuple"])
    if "set" in value:
        return frozenset(_unpacked(part) for part in value["set"])
    if "dict" in value:
        return {str(key): _unpacked(part) for key, part in value["dict"].items()}
    if "function" in value:
        return FUNCTIONS[value["function"]](**_unpacked(value["of"]))
    return Opaque(str(value["opaque"])[:60])
