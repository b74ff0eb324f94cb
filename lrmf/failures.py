"""What a fit that went wrong tells its user, beside ``status_``."""

from __future__ import annotations

import os
import sys
import warnings

from sklearn.utils import _set_output

__all__ = ["DivergenceWarning", "lacks_memory", "warn"]

#: How JAX and TensorFlow say that there was no memory left.
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "OOM when allocating")

#: Whose lines are not the user's.
_OWN = (os.path.dirname(__file__) + os.sep, _set_output.__file__)


class DivergenceWarning(UserWarning):
    """The fit diverged: its loss exploded or became no number, or a solver gave up.

    `fit` warns, and so does each mapping of points by what was kept, which may be the initial map.
    The message names the cure, as ``status_`` does. To make it an error:
    ``warnings.simplefilter("error", lrmf.DivergenceWarning)``; the aligner then stays as it was.

    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DivergenceWarning)
    """


def lacks_memory(error: BaseException) -> bool:
    """Whether an error of a backend says that its computation found no memory."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in _NO_MEMORY)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the user's line, however many calls of this library lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
