import types

import numpy as np
import pytest

import lrmf
from book.machinery.course import assignments
from book.machinery.instructor import setup
from lrmf import course


def part(split):
    """Scikit-learn's digits, whatever data this machine has."""
    source, target = lrmf.data.digits._bundled_digits(split)
    return types.SimpleNamespace(
        source=source.images.reshape(len(source.images), -1),
        target=target.images.reshape(len(target.images), -1),
    )


@pytest.fixture(scope="session")
def exercises():
    """Every task's exercise, with the names that its notebook defines before."""
    digits = {"train": part("train"), "test": part("test"), "np": np, "lrmf": lrmf}
    return {
        one.name: (one, digits if assignment.name == "real_pair" else setup(assignment))
        for assignment in assignments()
        for one in assignment.exercises
    }


@pytest.fixture
def flows(exercises):
    """The right answers of Assignment 2, by the task's last name."""
    return {
        name.removeprefix("flows."): one.value(one.code, names)
        for name, (one, names) in exercises.items()
        if name.startswith("flows.")
    }


def pytest_generate_tests(metafunc):
    if "task_name" in metafunc.fixturenames:
        metafunc.parametrize("task_name", list(course.TASKS))
