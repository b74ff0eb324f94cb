"""What a fit that went wrong tells its user, beside ``status_``."""

__all__ = ["DivergenceWarning"]


class DivergenceWarning(UserWarning):
    """The fit diverged: its loss exploded or became no number, or a solver gave up.

    `fit` warns, and so does each mapping of points by what was kept, which may be the initial map.
    The message names the cure, as ``status_`` does. To make it an error:
    ``warnings.simplefilter("error", lrmf.DivergenceWarning)``; the aligner then stays as it was.
    """
