"""The property: a finite result, or a refusal of ours; nothing changes, and no warning leaks."""

import json
import linecache
import os
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning

import lrmf

#: What happened how often: (subject, outcome) -> count.
COUNTS = Counter()

_OURS = str(Path(lrmf.__file__).parent)
_SPOKEN = (ConvergenceWarning, FitFailedWarning, UserWarning)
#: Faults go to this file instead of ending the test, so that one run finds many.
_COLLECT = os.environ.get("FUZZ_COLLECT")


class Fault(AssertionError):
    """The property does not hold."""


def check(subject, call, *inputs, state=None, finite=True):
    """Call, and see that the property holds; the result, or None for a refusal.

    Args:
        subject: what is called, for the table.
        call: a function of no arguments.
        inputs: what it was given, which must stay as it is.
        state: an object that a refused call must leave as it is.
        finite: whether numbers of a result have to be finite.
    """
    before, was = [_print(x) for x in inputs], _print(vars(state)) if state is not None else None
    try:
        result, outcome = _called(subject, call, finite)
        if [_print(x) for x in inputs] != before:
            raise Fault(f"{subject}: an input was changed")
        if not outcome.startswith("result") and state is not None and _print(vars(state)) != was:
            raise Fault(f"{subject}: a refused call changed the estimator")
    except Fault as fault:
        COUNTS[subject, "FAULT"] += 1
        if _COLLECT is None:
            raise
        shown = [f"{type(x).__name__}{getattr(x, 'shape', '')} {x!r}"[:300] for x in inputs]
        state_shown = "" if state is None else repr(state)[:300]
        with open(_COLLECT, "a") as file:
            file.write(json.dumps([str(fault), state_shown, shown]) + "\n")
        return None
    COUNTS[subject, outcome] += 1
    return result


def _called(subject, call, finite):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, outcome = call(), "result"
        except (ValueError, TypeError) as error:
            _refusal(subject, error)
            result, outcome = None, type(error).__name__
        except Exception as error:
            raise Fault(f"{subject}: {_where(error)}") from error
    for warning in caught:
        if not issubclass(warning.category, _SPOKEN) or len(str(warning.message).split()) < 5:
            raise Fault(f"{subject}: {warning.category.__name__} leaks: {warning.message}")
    if finite and outcome == "result" and not _is_finite(result) and not caught:
        raise Fault(f"{subject}: a result that is not finite, without a word: {result!r:.200}")
    return result, "result, warned" if caught and outcome == "result" else outcome


def _refusal(subject, error):
    """Whether the library itself raised this, in words."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno).strip()
    if not last.filename.startswith(_OURS) or not line.startswith("raise"):
        raise Fault(f"{subject}: raw {_where(error)}") from error
    if len(str(error).split()) < 5:
        raise Fault(f"{subject}: too short: {_where(error)}") from error


def _where(error):
    frames = traceback.extract_tb(error.__traceback__)
    inside = [f for f in frames if f.filename.startswith(_OURS)] or frames
    place = f"{Path(inside[-1].filename).name}:{inside[-1].lineno}"
    return f"{type(error).__name__} at {place}: {error!s:.160}"


def _is_finite(result):
    if isinstance(result, np.ndarray):
        return result.dtype.kind not in "fc" or bool(np.isfinite(result).all())
    if isinstance(result, (float, np.floating)):
        return bool(np.isfinite(result))
    if isinstance(result, (tuple, list)):
        return all(map(_is_finite, result))
    if isinstance(result, dict):
        return all(map(_is_finite, result.values()))
    return True


def _print(x):
    """What tells whether a value is as it was."""
    if isinstance(x, np.ma.MaskedArray):
        return "masked", _print(x.data), _print(np.ma.getmaskarray(x))
    if isinstance(x, np.ndarray):
        return str(x.dtype), x.shape, x.tolist() if x.dtype == object else x.tobytes()
    if isinstance(x, (pd.DataFrame, pd.Series)):
        return str(x.columns if x.ndim == 2 else x.name), _print(x.to_numpy())
    if sparse.issparse(x):
        return x.shape, _print(x.toarray())
    if isinstance(x, dict):
        return [(repr(key), _print(value)) for key, value in x.items()]
    return repr(x)
