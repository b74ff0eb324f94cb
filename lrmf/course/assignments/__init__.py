"""The tasks of all assignments, by name."""

from __future__ import annotations

from lrmf.course.assignments import distances, flows, gans, gaussian, real_pair, training
from lrmf.course.tasks import Task

__all__ = ["ASSIGNMENTS", "TASKS", "task"]

#: The tasks of each assignment, in the order of the course.
ASSIGNMENTS: dict[str, tuple[Task, ...]] = {
    "distances": distances.TASKS,
    "flows": flows.TASKS,
    "gaussian": gaussian.TASKS,
    "training": training.TASKS,
    "gans": gans.TASKS,
    "real_pair": real_pair.TASKS,
}
TASKS: dict[str, Task] = {task.name: task for tasks in ASSIGNMENTS.values() for task in tasks}


def task(name: str) -> Task:
    """Return a task; raises ``ValueError`` with the names there are.

    >>> task("flows.coupling").name
    'flows.coupling'
    >>> task("flows.couplings")
    Traceback (most recent call last):
    ValueError: there is no task 'flows.couplings'; there are: ...
    """
    if name not in TASKS:
        raise ValueError(f"there is no task {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]
