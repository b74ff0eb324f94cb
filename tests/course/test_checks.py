"""Right answers pass, and every usual error gets its own diagnosis; the smallest case is shown."""

import dataclasses
import secrets
import types

import numpy as np
import pytest

import lrmf
from lrmf import course
from lrmf.course import tasks
from lrmf.course.containment import budget
from lrmf.course.given import Points


@pytest.fixture(autouse=True)
def _a_quick_judge(monkeypatch):
    """The judge takes two seconds and has tests of its own: here it looks at the means only."""

    def judge(moved, target):
        apart = np.abs(np.mean(moved, axis=0) - np.mean(target, axis=0)).max()
        return types.SimpleNamespace(decision="aligned" if apart < 1 else "not aligned")

    monkeypatch.setattr(lrmf, "lrd", judge)


def examine(name, answer, seed=0, examples=8):
    """Examine with few examples and without a picture."""
    task = course.task(name)
    if isinstance(task, tasks.Function):
        task = dataclasses.replace(task, examples=min(examples, task.examples), sweep=None)
    return task.examine(answer, seed=seed, seconds=20.0)


def test_right_answers_pass(task_name, exercises):
    one, names = exercises[task_name]
    assert len(one.alternatives) >= 2
    for code in (one.code, *one.alternatives):
        # A seed that nobody knows: a right answer is right for all inputs.
        report = examine(task_name, one.value(code, names), seed=secrets.randbits(32))
        assert report.passed, f"{code}\n{report}"
        assert not report.diagnosis


def test_every_error_gets_its_diagnosis(task_name, exercises, monkeypatch):
    one, names = exercises[task_name]
    assert len(one.mutants) >= 5
    assert len({finds for _, finds in one.mutants}) == len(one.mutants)
    for code, finds in one.mutants:
        with monkeypatch.context() as patch:
            if finds != "special case":  # shrinking has tests of its own
                patch.setattr(tasks, "smallest", lambda *_: None)
            report = examine(task_name, one.value(code, names), examples=40)
        assert not report.passed
        assert report.diagnosis == finds, f"{code}\n{report}"
        assert len(report.text) > 20


def test_there_are_three_hints_and_three_levels(task_name):
    task = course.task(task_name)
    assert len(set(task.hints)) == 3
    assert task.level in ("derive", "code", "judge")


def test_each_assignment_has_all_three_levels():
    for names in course.assignments.ASSIGNMENTS.values():
        assert 5 <= len(names) <= 8
        assert {task.level for task in names} == {"derive", "code", "judge"}


def test_the_smallest_case_is_shown(flows, monkeypatch):
    monkeypatch.setattr("lrmf.course.search.SECONDS", 10.0)

    def forgotten(x, s, t):
        return flows["coupling"](x, s, t)[0], np.zeros(len(x))

    report = course.check("flows.coupling", forgotten)
    assert report.diagnosis == "log_det forgotten"
    assert "Smallest case found: x = [[0., 0., 0., 0.]], s = x ↦ " in report.case
    assert "you have [0.], it should be [" in report.case


def test_a_wrong_curve_is_drawn():
    report = course.check("gaussian.exponential", lambda mean_a, mean_b: 0.0)
    assert report.picture.startswith(b"\x89PNG")
    assert "Two curves over mean_a" in report._repr_html_()
    assert report.diagnosis == "distance: other"


def test_cases_are_those_of_the_seed(flows):
    wrong = lambda y, a, b: 1.0 + flows["density"](y, a, b)  # noqa: E731
    first, second = (examine("flows.density", wrong, seed=3) for _ in range(2))
    assert first == second


class Tensor:
    """What JAX and TensorFlow return, as seen from NumPy: single precision, and no array."""

    def __init__(self, value):
        self.value = np.asarray(value, dtype="float32")

    def __array__(self, dtype=None, copy=None):
        return self.value.astype(dtype or "float32")


def test_tensors_in_single_precision_are_accepted(flows):
    def forward(x, s, t):
        y, log_det = flows["coupling"](x.astype("float32"), s, t)
        return [Tensor(y), Tensor(log_det)]

    assert examine("flows.coupling", forward)


LAYERS = {
    "jax": """
import jax.numpy as jnp
def forward(x, s, t):
    x1, x2 = jnp.split(jnp.asarray(x), 2, axis=1)
    scale = s(x1)
    return jnp.concatenate([x1, x2 * jnp.exp(scale) + t(x1)], axis=1), scale.sum(axis=1)
""",
    "tensorflow": """
import tensorflow as tf
def forward(x, s, t):
    x1, x2 = tf.split(tf.convert_to_tensor(x), 2, axis=1)
    scale = s(x1)
    return tf.concat([x1, x2 * tf.exp(scale) + t(x1)], axis=1), tf.reduce_sum(scale, axis=1)
""",
}


@pytest.mark.parametrize("library", LAYERS)
def test_answers_in_either_library_are_right(library):
    names = {}
    exec(LAYERS[library], names)
    # Compiling takes what the machine takes; that ten seconds are granted has its own test.
    assert course.task("flows.coupling").examine(names["forward"], seconds=120.0)


def test_an_answer_that_compiles_gets_more_time(flows):
    names = {}
    exec("import jax.numpy as jnp\ndef with_jax(x):\n    return jnp.exp(x)", names)
    assert budget(names["with_jax"], 1.5) == 10.0
    assert budget(names["with_jax"], 60.0) == 60.0
    assert budget(flows["density"], 1.5) == 1.5
    assert budget(len, 1.5) == 1.5


def test_what_is_said_is_said_once():
    def raises(y, a, b):
        raise RuntimeError("boom")

    report = course.check("flows.density", raises)
    assert str(report).count("boom") == 1
    assert "Smallest case found: y = " in report.case


def strange(*_):
    yield from ()


STRANGE = {
    "nothing": None, "the stub": ..., "a number": 3.0, "a text": "answer", "a generator": strange(),
    "a class": dict, "a module": np, "an array": np.full((2, 2), np.nan), "a dict": {"a": None},
    "an object array": np.array([None, "a"], dtype=object), "a coroutine's kin": iter([1]),
    "a nested list": [[[1], [2, 3]], "x"], "bytes": b"abc", "a long list": [0.0] * 100_000,
    "returns nothing": lambda *_: None, "returns a text": lambda *_: "x",
    "returns a generator": lambda *_: (i for i in [1]), "returns NaN": lambda *_: float("nan"),
    "returns a wrong shape": lambda *_: np.zeros((3, 1, 7)), "returns itself": lambda *a: a,
    "is a generator": strange, "takes nothing": lambda: 1.0, "raises": lambda *_: 1 / 0,
    "returns a function": lambda *_: strange, "returns tensors": lambda *_: Tensor([1.0, 2.0, 3.0]),
    "is built in": len, "returns infinity": lambda *_: (np.inf, -np.inf), "is partial": print,
}  # fmt: skip


def test_no_strange_answer_raises_or_passes(task_name, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "smallest", lambda *_: None)
    for what, answer in STRANGE.items():
        report = examine(task_name, answer)
        assert not report.passed, what
        assert report.diagnosis, what
        assert len(report.text) > 10, what
        assert "Traceback" not in str(report), what
    assert capsys.readouterr().out == ""


def test_hints_climb_a_ladder():
    course._shown.clear()
    steps = [course.hint("flows.coupling") for _ in range(4)]
    assert [step[5:11] for step in steps] == ["1 of 3", "2 of 3", "3 of 3", "3 of 3"]
    assert repr(course.hint("flows.coupling", 1)) == steps[0]
    with pytest.raises(ValueError, match="step must be 1, 2 or 3, got 4"):
        course.hint("flows.coupling", 4)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match=r"there is no task 'flows.none'; there are: distances"):
        course.check("flows.none", None)


def test_without_hypothesis_the_extra_is_named(monkeypatch, flows):
    monkeypatch.setitem(__import__("sys").modules, "hypothesis", None)
    with pytest.raises(ImportError, match=r'pip install "lrmf\[course\]"'):
        course.check("flows.density", flows["density"])


def test_nothing_is_left_in_the_student_s_folder(flows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hypothesis.configuration.__hypothesis_home_directory_default", tmp_path)
    assert course.check("flows.density", flows["density"])
    assert list(tmp_path.iterdir()) == []


def test_seals_open_for_right_letters_only():
    letters = tuple("abcdef")
    seal = tasks.sealed("some.task", letters, frozenset("bd"))
    assert tasks.unsealed("some.task", seal, letters) == {"b", "d"}
    assert tasks.unsealed("other.task", seal, letters) != {"b", "d"}


def test_spread_points_vary_in_each_coordinate():
    from hypothesis import find

    smallest = find(Points(3, least=4, most=4, spread=True).strategy(), lambda x: True)
    assert np.allclose(smallest.var(axis=0), 1.0)


def test_an_answer_that_wraps_itself_is_asked_all_the_same():
    def answer():
        """Nothing."""

    answer.__wrapped__ = answer
    assert budget(answer, 1.5) == 1.5
