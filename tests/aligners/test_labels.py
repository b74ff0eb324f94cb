"""A few labels beside the points: which pairs they make, what these decide, what is refused."""

import numpy as np
import pytest

import lrmf
from lrmf.aligners import labels, stages
from lrmf.objectives import LabelledAlignment, alignment_loss, lrmf_loss

RNG = np.random.default_rng(0)


def turned(x, degrees):
    angle = np.deg2rad(degrees)
    return x @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


# Two clusters that are turned by more than a quarter: without labels, the way back is shorter.
CLASSES = np.repeat([0, 1], 100)
CENTRES = np.array([[2.0, 0.0], [-2.0, 0.0]])[CLASSES]
SOURCE = CENTRES + RNG.normal(scale=0.3, size=(200, 2))
TARGET = turned(CENTRES + RNG.normal(scale=0.3, size=(200, 2)), 100.0)
FEW = np.where(np.arange(200) % 100 < 5, CLASSES, -1)


@pytest.fixture
def labelled(small):
    def make(**changes):
        settings = {"label_density": lrmf.Gaussian(), "private_steps": 0, "refit_steps": 0}
        return small(**settings | changes)

    return make


def fit(model, ys=FEW, yt=FEW, **options):
    return model.fit(Xs=SOURCE, ys=ys, Xt=TARGET, yt=yt, **options)


def matched(model):
    """The share of source points that land in the half-plane of their class."""
    axis = turned(np.array([[1.0, 0.0]]), 100.0)[0]
    return np.mean((model.transform(SOURCE) @ axis > 0) == (CLASSES == 0))


def test_few_labels_tell_two_alignments_apart(labelled):
    # Of the backends, `test_the_loss_by_hand` compares what differs.
    assert matched(fit(labelled())) > 0.95
    assert matched(fit(labelled(label_density=None))) < 0.05


def test_labels_are_not_used_unless_asked_for(labelled):
    model = labelled(label_density=None, steps=3)
    expected = model.fit(Xs=SOURCE, Xt=TARGET).history_["loss"]
    found = fit(model, ys=["any"], yt=3.5).history_["loss"]
    np.testing.assert_array_equal(found, expected)


def models(backend, **arrays):
    """An affine map and three different normal densities."""
    engine = lrmf.get_backend(backend)
    flow = {"matrix": np.array([[1.5, 0.2], [0.0, 0.8]]), "shift": np.array([0.1, -0.3])}
    found = {"transform": engine.flow(lrmf.Affine(), flow, dtype="float64")}
    for k, role in enumerate(("density", "density_0", "density_1")):
        own = lrmf.Gaussian().init((2,), RNG)
        own = {**own, "mean": np.array([k, -k / 2.0])}
        found[role] = engine.density(lrmf.Gaussian(), own, dtype="float64")
    return found


def test_the_loss_by_hand(backend):
    parts, shares = models(backend), np.array([0.3, 0.7])
    batch = {"source": SOURCE, "target": TARGET, "label_weights": shares}
    expected = lrmf_loss(parts["transform"], parts["density"], SOURCE, TARGET)
    for u, share in enumerate(shares):
        a, b = batch[f"source_{u}"], batch[f"target_{u}"] = SOURCE[u::9], TARGET[u::7]
        weights = np.arange(1.0, len(a) + 1)
        batch[f"source_{u}_weight"] = weights / weights.sum()
        pair = alignment_loss(
            [parts["transform"], None],
            parts[f"density_{u}"],
            [a, b],
            sample_weights=[weights / weights.sum(), None],
        )
        expected += share * pair
    native = parts["transform"].backend
    with native.scope("float64"):
        given = {name: native.asarray(x, "float64") for name, x in batch.items()}
        found = LabelledAlignment(labels=2)(parts, given)
        alone = LabelledAlignment(labels=2)(
            parts, {name: given[name] for name in ("source", "target", "label_weights")}
        )
    assert float(found) == pytest.approx(float(expected))
    # Held-out points have no labels.
    assert float(alone) == pytest.approx(
        float(lrmf_loss(parts["transform"], parts["density"], SOURCE, TARGET))
    )


def test_no_point_that_is_held_out_or_without_weight_is_in_a_pair(labelled, monkeypatch):
    seen = {}

    def watched(loss, roles, arrays, data, *, validation, batch_sizes, annealed, **rest):
        seen.update(data=data, held=validation, sizes=batch_sizes, weights=annealed)
        return run(
            loss, roles, arrays, data,
            validation=validation, batch_sizes=batch_sizes, annealed=annealed, **rest,
        )  # fmt: skip

    def smoothed(x, weights, rng):
        pairs.append((x, weights))
        return smooth(x, weights, rng)

    pairs, run, smooth = [], stages.fit, labels._smoothed
    monkeypatch.setattr(stages, "fit", watched)
    monkeypatch.setattr(labels, "_smoothed", smoothed)
    weights = np.where(np.arange(200) % 3, 1.0 + CLASSES, 0.0)
    model = labelled(steps=1, validation_fraction=0.3, standardize=False)  # rows are known by value
    fit(model, ys=CLASSES + 4, yt=CLASSES + 4, sample_weight_s=weights)
    row = {tuple(x): i for i, x in enumerate(SOURCE)}
    learned = [row[tuple(x)] for x in seen["data"]["source"][:]]
    of_source = [[row[tuple(x)] for x in points] for points, _ in pairs[:2]]
    assert sorted(of_source[0] + of_source[1]) == sorted(learned)
    assert set(learned) < set(np.flatnonzero(weights))
    for u, (rows, (_, own)) in enumerate(zip(of_source, pairs[:2], strict=True)):
        assert set(CLASSES[rows]) == {u}
        np.testing.assert_allclose(own / weights[rows], own[0] / weights[rows[0]])
    assert len(pairs[2][0]) + len(pairs[3][0]) == len(seen["data"]["target"]) == 140
    assert seen["weights"]["label_weights"].tolist() == [10.0, 10.0]
    assert set(seen["sizes"].values()) == {32}  # a batch of 64 is shared by two labels
    assert "source_0" not in seen["held"]


def test_a_smoothed_bootstrap_has_the_mean_and_more_spread():
    x, weights = SOURCE[:100] * [1.0, 10.0], np.repeat([1.0, 3.0], 50)
    found = labels._smoothed(x, weights, np.random.default_rng(0))
    mean = np.average(x, axis=0, weights=weights)
    variance = np.average((x - mean) ** 2, axis=0, weights=weights)
    size = 200.0**2 / 500.0  # (Σw)² / Σw²
    np.testing.assert_allclose((found.mean(axis=0) - mean) / np.sqrt(variance), 0.0, atol=0.1)
    np.testing.assert_allclose(found.var(axis=0), variance * (1.0 + size ** (-1 / 3)), rtol=0.1)


def test_save_load_and_resume(labelled, tmp_path):
    whole = fit(labelled(steps=200))
    file = tmp_path / "fit.ckpt"
    options = {"checkpoint_every": 100, "steps": 200}
    resumed = fit(labelled(**options), checkpoint=file)
    resumed = fit(labelled(**options), checkpoint=file)
    np.testing.assert_equal(resumed.history_, whole.history_)
    with pytest.raises(ValueError, match="belongs to another fit"):
        fit(labelled(**options), ys=1 - CLASSES, checkpoint=file)
    whole.save(tmp_path / "model.lrmf")
    loaded = lrmf.LRMF.load(tmp_path / "model.lrmf")
    assert loaded.label_density == lrmf.Gaussian()
    np.testing.assert_array_equal(loaded.transform(SOURCE), whole.transform(SOURCE))


UNKNOWN = np.full(200, -1)
REFUSED = {
    "missing": ({"yt": None}, TypeError, "^yt is missing, but label_density asks for labels"),
    "floats": ({"ys": FEW.astype(float)}, TypeError, "^ys must hold integers, -1 where .* float64"),
    "names": ({"yt": ["a", "b"] * 100}, TypeError, "^yt must hold integers, -1 where a label is"),
    "length": ({"ys": FEW[:7]}, ValueError, r"^expected ys of shape \(200,\), a label for each"),
    "negative": ({"yt": FEW - 1}, ValueError, "^yt holds -2; labels are 0 or more, and -1 where"),
    "unknown": ({"ys": UNKNOWN, "yt": UNKNOWN}, ValueError, "^all of ys and yt is -1, so no label"),
    "one side": ({"yt": UNKNOWN}, ValueError, "^yt has label 0 at 0 points to learn from"),
    "another": (
        {"ys": np.where(FEW == 1, 2, FEW)},
        ValueError,
        "^ys has label 1 at 0 points to learn from.* set them to -1",
    ),
    "a single point": (
        {"ys": np.where(np.arange(200) == 0, 0, UNKNOWN), "yt": FEW * 0},
        ValueError,
        "^ys has label 0 at 1 points to learn from, but a pair takes two or more a side",
    ),
}


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_labels(labelled, nothing_compiles, changes, error, message):
    with pytest.raises(error, match=message):
        fit(labelled(), **changes)


def test_too_few_labels_for_held_out_points(labelled, nothing_compiles):
    model = labelled(validation_fraction=0.9)
    with pytest.raises(ValueError, match="label more points, lower validation_fraction or set"):
        fit(model)


def test_bad_label_density(labelled, nothing_compiles):
    for bad in ("gaussian", True, object()):
        with pytest.raises(TypeError, match=r"label_density must be a spec such as lrmf.Gaussian"):
            fit(labelled(label_density=bad))
