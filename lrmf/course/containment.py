"""Call a student's function so that nothing it does gets out: time, exceptions, strange values.

A call that lasts too long is interrupted by the alarm of the operating system, which Linux, macOS
and so Colab have, in the main thread, where a notebook's cells run. Elsewhere (Windows, other
threads) a call has no limit, and an endless loop is ended by interrupting the kernel. A loop that
catches every exception, or one long call inside compiled code, is not interrupted either.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Answer", "Failed", "Opaque", "budget", "plain"]

COMPILING = 10.0


class Failed(Exception):
    """A call that gave no value; ``diagnosis`` is a short name, the message says what happened."""

    def __init__(self, diagnosis: str, message: str) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis


class _TimeUp(BaseException):
    """Not an ``Exception``: a student's ``except Exception`` must not catch it."""


class Opaque:
    """A value that is no number, array or text; only the name of its type is kept."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"something of type {self.kind}"


class Answer:
    """A student's function with a budget of seconds for all its calls together.

    Calls raise :class:`Failed`, and nothing else. What the function prints is dropped, its
    arguments are copies.
    """

    def __init__(self, function: Callable[..., Any], seconds: float) -> None:
        self._function, self._left, self._limit = function, seconds, seconds

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function returns, as NumPy arrays, numbers, text and tuples of them."""
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        started = time.monotonic()
        try:
            with (
                _alarm(self._left),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore")
                return plain(self._function(*copies))
        except _TimeUp:
            # One call that takes half of all the time hangs; many short ones may just be many.
            hangs = time.monotonic() - started > 0.5 * self._limit
            raise Failed(
                "too slow" if hangs else "out of time",
                f"Your function did not finish within {self._limit:g} s for all inputs together. "
                "Is there a loop that never ends, or one over points that arrays could replace?",
            ) from None
        except Failed:
            raise
        except RecursionError:
            raise Failed("raised", "Your function calls itself without end.") from None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            where = _line_of(error)
            raise Failed(
                "raised", f"Your function raised {type(error).__name__}{where}: {_short(error)}"
            ) from None
        finally:
            self._left = max(self._left - (time.monotonic() - started), 0.01)


def budget(function: Any, seconds: float) -> float:
    """Return the seconds for all calls of an answer: ten where its notebook has JAX or TensorFlow.

    These compile once for each new number of points, which takes longer than NumPy does for all.
    """
    for _ in range(10):  # what jax.jit or functools.partial wraps; an answer may wrap itself
        function = getattr(function, "__wrapped__", getattr(function, "func", function))
    known = getattr(function, "__globals__", {}).values()
    modules = {one.__name__.partition(".")[0] for one in known if isinstance(one, ModuleType)}
    return max(seconds, COMPILING) if modules & {"jax", "tensorflow"} else seconds


def plain(value: Any, depth: int = 0) -> Any:
    """Bring what a student returns to NumPy arrays, numbers, text, and tuples and sets of them."""
    if value is None or value is Ellipsis:
        return None
    if isinstance(value, bool | int | float | str | np.ndarray | Opaque):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list) and not any(hasattr(part, "__array__") for part in value):
        try:
            array = np.asarray(value)
        except Exception:  # rows of unequal length, or of things that are no numbers
            array = np.asarray(None)
        if array.dtype.kind in "biuf" and array.size:
            return array
    if isinstance(value, tuple | list) and depth < 3:
        if value and all(isinstance(part, bool | int | float | np.generic) for part in value):
            return tuple(plain(part) for part in value)
        return tuple(plain(part, depth + 1) for part in value[:100_000])
    if isinstance(value, set | frozenset):
        return frozenset(part for part in value if isinstance(part, str | int))
    if isinstance(value, dict) and depth < 3:
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if hasattr(value, "__array__") and not isinstance(value, type):
        array = np.asarray(value)  # of JAX, TensorFlow, PyTorch, pandas
        return array if array.dtype != object else Opaque(type(value).__name__)
    return Opaque(type(value).__name__)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    available = hasattr(signal, "setitimer")
    if not available or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    # It rings again: an answer may have swallowed the first one.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _line_of(error: BaseException) -> str:
    """Say in which line of the student's cell, where that is where it happened."""
    trace, line = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "ipykernel" in file or file.startswith("<"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f" in line {line} of its cell"


def _short(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    return text if len(text) <= 300 else text[:300] + " ..."
