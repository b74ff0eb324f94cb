"""Backends compute in the process that they began in: a fork copies memory, but no threads."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["OneProcess"]


class OneProcess:
    """What computes in one process: with threads, which a process forked from it would wait for."""

    name: str
    _process: int | None = None

    def check_process(self) -> None:
        """Note that this process computes, or refuse where one that it was forked from did.

        Raises ``RuntimeError``, which names the cure.
        """
        if self._process is None:
            self._process = os.getpid()
        elif self._process != os.getpid():
            raise RuntimeError(
                f"this process was forked from one that has used the {self.name!r} backend, whose "
                "threads a fork does not copy, so it would hang. Start processes another way: by "
                "multiprocessing.get_context('spawn'), or by joblib's default, 'loky'"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # In the process that unpickles a model, the backend is that process's own.
        from . import get_backend

        return get_backend, (self.name,)
