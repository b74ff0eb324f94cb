"""Whatever a student returns gets a sentence, and nothing of it gets out."""

import time

import numpy as np
import pytest

from lrmf import course
from lrmf.course.containment import Answer, Failed, Opaque, plain


@pytest.mark.parametrize(
    ("answer", "diagnosis", "words"),
    [
        (None, "unanswered", "not answered yet"),
        (..., "unanswered", "not answered yet"),
        (3.0, "no function", "expected a function, got a float"),
        ("log_density", "no function", "without brackets"),
        (lambda y: y, "signature", r"must take 3 arguments: \(y, a, b\)"),
        (lambda y, a, b: None, "unanswered", "returns nothing"),
        (lambda y, a, b: "1.0", "text", "not the text '1.0'"),
        (lambda y, a, b: (v for v in [1.0]), "no number", "not a generator: write list"),
        (lambda y, a, b: object(), "no number", "not a object"),
        (lambda y, a, b: np.array([y, a]), "shape", r"shape \(2,\), it should have \(\) \(one"),
        (lambda y, a, b: np.array([[1.0], []], dtype=object), "no number", "real numbers"),
        (lambda y, a, b: 1j, "no number", "not a complex"),
        (lambda y, a, b: float("nan"), "not a number", "NaN"),
        (lambda y, a, b: 1 / 0, "raised", "ZeroDivisionError"),
        (lambda y, a, b: undefined, "raised", "NameError"),  # noqa: F821
    ],
)
def test_a_strange_function_gets_a_sentence(answer, diagnosis, words):
    report = course.check("flows.density", answer)
    assert not report
    assert report.diagnosis == diagnosis
    assert __import__("re").search(words, str(report)), str(report)
    assert "Traceback" not in str(report)


@pytest.mark.parametrize(
    ("answer", "diagnosis", "words"),
    [
        (lambda x, s, t: x, "no pair", "should return two things: the moved points, log_det"),
        (lambda x, s, t: (None, 1.0), "unanswered", "there is nothing for the moved points"),
        (lambda x, s, t: (x[:, :2], x[:, 0]), "shape", r"shape \(\d, 2\), it should have"),
    ],
)
def test_a_strange_pair_gets_a_sentence(answer, diagnosis, words):
    report = course.check("flows.coupling", answer)
    assert report.diagnosis == diagnosis
    assert __import__("re").search(words, str(report)), str(report)


@pytest.mark.parametrize(
    ("answer", "diagnosis", "words"),
    [
        (7, "no letters", "expected the letters"),
        ({"z"}, "no letters", "there is no statement z; there are a, b"),
        (set(), "unanswered", "no letter"),
        (None, "unanswered", "not answered"),
        ({"c", "e", "f"}, "several statements", "6 statements are judged wrong"),
        ({"a"}, "statement b, d", "Think again about b"),
    ],
)
def test_strange_letters_get_a_sentence(answer, diagnosis, words):
    report = course.check("flows.statements", answer)
    assert (report.diagnosis, words in report.text) == (diagnosis, True), report


@pytest.mark.parametrize(
    ("answer", "diagnosis", "words"),
    [
        (None, "unanswered", "not answered"),
        ((None, None), "unanswered", "there is nothing for a"),
        (([1.0, 2.0], "x"), "shape", "b should be points on the line"),
        ((np.ones((4, 2)), np.ones(4)), "shape", r"not (4, 2)"),
        (([1.0, 2, 3, np.inf], [1.0, 2, 3, 4]), "not a number", "must be finite"),
    ],
)
def test_strange_examples_get_a_sentence(answer, diagnosis, words):
    report = course.check("distances.blind", answer)
    assert (report.diagnosis, words in report.text) == (diagnosis, True), report


@pytest.mark.parametrize(
    ("answer", "diagnosis", "words"),
    [
        ([1], "no defence", "expected a dict"),
        ({"moved": 1, "target": 2}, "no defence", "'decision' is missing"),
        ({"moved": None, "target": None, "decision": None}, "unanswered", "not answered"),
        ({"moved": 1, "target": 2, "decision": "aligned"}, "shape", "moved should be"),
        (
            {"moved": np.ones((3, 2)), "target": np.ones((3, 1)), "decision": "aligned"},
            "shape",
            "different numbers of coordinates",
        ),
        (
            {"moved": np.ones((3, 2)), "target": np.full((3, 2), np.inf), "decision": "aligned"},
            "not a number",
            "target has entries",
        ),
    ],
)
def test_strange_defences_get_a_sentence(answer, diagnosis, words):
    report = course.check("real_pair.defence", answer)
    assert (report.diagnosis, words in report.text) == (diagnosis, True), report


def test_a_matrix_that_is_not_finite_gets_a_sentence():
    report = course.check("gaussian.rotation", (np.full((2, 2), np.inf), np.zeros(2)))
    assert "all numbers must be finite" in report.text


def test_endless_loops_end(capsys):
    def endless(y, a, b):
        print("still here")
        while True:
            pass

    started = time.monotonic()
    report = course.check("flows.density", endless)
    assert report.diagnosis == "too slow"
    assert time.monotonic() - started < 4
    assert capsys.readouterr().out == ""


def test_an_answer_cannot_catch_the_alarm():
    def stubborn(x):
        for _ in range(2):
            try:
                while True:
                    pass
            except Exception:
                pass

    with pytest.raises(Failed, match=r"did not finish within 0.1 s"):
        Answer(stubborn, 0.1)(1.0)


def test_recursion_and_exits_end():
    def forever(x):
        return forever(x)

    with pytest.raises(Failed, match="calls itself without end"):
        Answer(forever, 5.0)(1.0)

    def leaves(x):
        raise SystemExit("bye " * 200)

    with pytest.raises(Failed, match=r"SystemExit: bye .* \.\.\.$"):
        Answer(leaves, 5.0)(1.0)


def test_an_interrupt_gets_through():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Answer(interrupted, 5.0)(1.0)


def test_a_slow_answer_that_is_right_passes(flows):
    def slow(y, a, b):
        time.sleep(0.1)
        return flows["density"](y, a, b)

    assert course.check("flows.density", slow)


def test_inputs_are_copies():
    x = np.ones(3)

    def spoils(x):
        x[:] = 0

    Answer(spoils, 5.0)(x)
    assert (x == 1).all()


def test_plain_values():
    assert plain(np.float32(0.5)) == 0.5
    assert plain([1, 2]).tolist() == [1, 2]
    assert isinstance(plain([np.ones(2), np.ones(2)]), tuple)
    assert isinstance(plain([np.ones(2), np.ones((2, 2))]), tuple)
    assert plain({"a": [1.0]})["a"].tolist() == [1.0]
    assert isinstance(plain(np), Opaque)
    assert repr(plain(np)) == "something of type module"
