"""What needs no training: checks of data, distances, the judge, closed forms, toy data, theory."""

import functools
import inspect

import numpy as np
import pytest
from hostile import VALUES, pairs, points, values
from hypothesis import given, settings, strategies as st
from outcomes import check
from scipy import stats

import lrmf
from lrmf import distances, points as checks
from lrmf.theory import divergences, gaussian, histogram, mixtures

DISTANCES = {
    "energy": (distances.energy_distance, ("unbiased",)),
    "mmd2": (distances.mmd2, ("kernel", "bandwidth", "unbiased")),
    "wasserstein": (distances.wasserstein, ("order",)),
    "sliced": (distances.sliced_wasserstein, ("order", "n_projections", "seed")),
    "median": (distances.median_bandwidth, ()),
}
CLOSED = {"CORAL": lrmf.CORAL, "GaussianOT": lrmf.GaussianOT, "EntropicOT": lrmf.EntropicOT}


@st.composite
def settings_of(draw, names, *, odd=4):
    """A few of the named parameters with values of any kind, or, mostly, none."""
    if not names or draw(st.integers(0, odd)):
        return {}
    chosen = draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=2, unique=True))
    return {name: draw(values) for name in chosen}


def small(options, *names):
    """Without sizes that only take long."""
    for name in names:
        value = options.get(name)
        if isinstance(value, (int, np.integer)) and value > 100:
            options[name] = 5
    return options


@given(points(), st.sampled_from(("float32", "float64")))
def test_points(x, dtype):
    found = check("check_points", lambda: checks.check_points(x, "X", dtype=dtype), x)
    assert found is None or found.dtype == np.float64
    check("check_rows", lambda: checks.check_rows(x, "X", minimum=2, dtype=dtype)[:], x)


@given(points(d=1) | st.lists(values, max_size=4) | values, st.sampled_from((2, 7, 25)))
def test_weights(w, n):
    check("check_weights", lambda: checks.check_weights(w, "weights", n), w)


@pytest.mark.parametrize("name", DISTANCES)
@given(data=st.data())
def test_distances(name, data):
    function, names = DISTANCES[name]
    x, y = data.draw(pairs())
    options = small(data.draw(settings_of(names)), "n_projections")
    check(name, lambda: function(x, y, **options), x, y)


@given(pairs(), settings_of(("n_permutations", "seed")), st.sampled_from(sorted(DISTANCES)))
def test_permutation_tests(pair, options, name):
    x, y = pair
    options = small({"n_permutations": 5} | options, "n_permutations")
    check(
        "permutation_test",
        lambda: distances.permutation_test(DISTANCES[name][0], x, y, **options),
        x,
        y,
    )


@settings(max_examples=max(5, settings().max_examples // 8))  # half a second each
@given(pairs(), settings_of(("tolerance", "seed", "sample_weight_s", "sample_weight_t")))
def test_the_judge(pair, options):
    x, y = pair
    found = check("lrd", lambda: lrmf.lrd(x, y, controls=False, **options), x, y)
    if found is not None:
        assert np.isfinite([found.lrd, found.lrd_stderr]).all()
        assert found.decision in ("aligned", "not aligned", "not decided")


@pytest.mark.parametrize("name", CLOSED)
@given(data=st.data())
def test_closed_forms(name, data):
    kind = CLOSED[name]
    options = data.draw(settings_of(kind().get_params(deep=False)))
    model = small(options, "max_iter") and kind(**options) if options else kind()
    x, y = data.draw(pairs())
    fitted = check(f"{name}.fit", lambda: model.fit(Xs=x, Xt=y), x, y, state=model)
    if fitted is None:
        return
    new = data.draw(points(d=np.shape(x)[1] if np.ndim(x) > 1 else None) | st.just(x))
    check(f"{name}.transform", lambda: fitted.transform(new), new, state=model)
    check(f"{name}.inverse_transform", lambda: fitted.inverse_transform(new), new, state=model)


@given(pairs(), st.sampled_from(("stack", "fit")))
def test_selection(pair, what):
    x, y = pair
    if what == "stack":
        check("stack", lambda: lrmf.selection.stack(x, y), x, y)
    else:
        model = lrmf.selection.StackedAligner(lrmf.CORAL())
        check("StackedAligner.fit", lambda: model.fit(x, y), x, y, state=model)


@pytest.mark.parametrize("maker", [lrmf.data.blobs, lrmf.data.moons])
@given(data=st.data())
def test_toy_data(maker, data):
    options = data.draw(settings_of(inspect.signature(maker).parameters, odd=0))
    options = small({"n": 20} | options, "n")

    def make():
        pair = maker(**options)
        return pair.source, pair.target

    check(maker.__name__, make)


def public(module):
    """Functions that a module of closed forms says are public, by name."""
    names = {name: getattr(module, name) for name in module.__all__}
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": found
        for name, found in names.items()
        if inspect.isfunction(found)
    }


THEORY = public(gaussian) | public(divergences) | public(histogram) | public(mixtures)
#: Numbers, means, covariances and shares, good and bad, of which theory functions take some.
NUMBERS = st.one_of(
    st.sampled_from((0.5, 1.0, 2.0, 3.0, [0.2, 0.8], [0.5, 0.5], [1.0, 2.0], np.eye(2), [[1.0]])),
    st.floats(),
    st.sampled_from([10.0**k for k in (-300, -160, -20, 20, 160, 300)]),
    values,
)


#: What a function of a user's may be; one that raises by itself is no fault of ours.
DENSITIES = st.one_of(
    st.sampled_from(
        (stats.norm(0, 1).logpdf, stats.norm(3, 1e-3).logpdf, lambda x: np.nan, lambda x: "a")
    ),
    NUMBERS.filter(lambda value: not callable(value)),
)


SCALES = st.sampled_from([10.0**k for k in (0, 0, 0, -200, -60, -8, 8, 60, 200)])
VECTORS = st.builds(lambda scale: scale * np.array([1.0, -0.5]), SCALES)
MATRICES = st.builds(lambda scale: scale * np.array([[2.0, 0.5], [0.5, 1.0]]), SCALES)
SHARES = st.sampled_from(([0.5, 0.5], [0.2, 0.8], [1.0, 0.0], [1e-300, 1.0]))
#: What arguments of these names, or with these first words, should be, at any magnitude.
SENSIBLE = {
    "mean": VECTORS, "shift": VECTORS, "cov": MATRICES, "matrix": MATRICES, "p": SHARES,
    "q": SHARES, "std": SCALES, "mu": SCALES, "delta": SCALES, "sigma0": SCALES,
}  # fmt: skip


@pytest.mark.parametrize("name", THEORY)
@given(data=st.data())
def test_theory(name, data):
    function = THEORY[name]
    given_values = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is inspect.Parameter.empty or data.draw(st.integers(0, 5)) == 0:
            kind = parameter.name.partition("_")[0]
            sensible = kind in SENSIBLE and data.draw(st.integers(0, 4)) > 0
            strategy = DENSITIES if kind == "log" else SENSIBLE[kind] if sensible else NUMBERS
            given_values[parameter.name] = data.draw(strategy)
    given_values = small(given_values, "n", "n_samples", "repeats", "samples")
    check(name, functools.partial(function, **given_values), *given_values.values(), finite=False)


def test_values_hold_what_they_claim():
    assert sum(isinstance(value, np.generic) for value in VALUES) > 8
