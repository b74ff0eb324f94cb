"""Faults of what NumPy computes by itself: distances, theory, data, and what is drawn."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

distances = partial(Mutant, file="lrmf/distances.py")
kernels = partial(Mutant, file="lrmf/kernels.py")
gaussian = partial(
    Mutant, file="lrmf/theory/gaussian.py", tests=("tests/theory/test_gaussian.py", "-k", "not tfp")
)
divergences = partial(
    Mutant, file="lrmf/theory/divergences.py", tests=("tests/theory/test_divergences.py",)
)
histogram = partial(
    Mutant,
    file="lrmf/theory/histogram.py",
    tests=("tests/theory/test_histogram.py", "-k", "not (jax or tfp or lrd)"),
)
mixtures = partial(Mutant, file="lrmf/theory/mixtures.py", tests=("tests/theory/test_mixtures.py",))
optimum = partial(
    Mutant, file="lrmf/theory/mixture_optimum.py", tests=("tests/theory/test_mixture_optimum.py",)
)
toy = partial(Mutant, file="lrmf/data/toy.py", tests=("tests/data/test_toy.py",))
images = partial(Mutant, file="lrmf/data/images.py", tests=("tests/data/test_images.py",))
fetch = partial(Mutant, file="lrmf/data/fetch.py", tests=("tests/data/test_fetch.py",))
digits = partial(Mutant, file="lrmf/data/digits.py", tests=("tests/data/test_digits.py",))
player = partial(Mutant, tests=("tests/player/test_script.py",))

DISTANCES = [
    distances(
        "energy distance: factor two missing",
        old="value = 2 * kernel_statistic(triangular_gap, first, second, unbiased)",
        new="value = kernel_statistic(triangular_gap, first, second, unbiased)",
        tests=("tests/test_distances.py", "-k", "energy and line"),
    ),
    kernels(
        "mmd: the unbiased estimate keeps the diagonal",
        old="return (mean(a, a) * len(a) - diagonal) / (len(a) - 1)",
        new="return mean(a, a)",
        tests=("tests/test_distances.py", "-k", "mmd2"),
    ),
    kernels(
        "mmd: bandwidth without its square",
        old="(pairwise.cdist(x, y) / bandwidth) ** 2",
        new="pairwise.cdist(x, y) ** 2 / bandwidth",
        tests=("tests/test_distances.py", "-k", "mmd2"),
    ),
    distances(
        "wasserstein: the root is missing",
        old="max(float(cost), 0.0) ** (1 / order)",
        new="max(float(cost), 0.0)",
        tests=("tests/test_distances.py", "-k", "w1 or w2"),
    ),
    distances(
        "distances: squares of far numbers overflow",
        old="by = exponent(first, second)",
        new="by = 0",
        tests=("tests/test_distances.py", "-k", "magnitude"),
    ),
    distances(
        "sliced wasserstein: always of order one",
        old="n_projections=n_projections, p=order, seed=seed",
        new="n_projections=n_projections, p=1, seed=seed",
        tests=("tests/test_distances.py", "-k", "sliced"),
    ),
    distances(
        "sliced wasserstein: directions ignore the seed",
        old="n_projections=n_projections, p=order, seed=seed",
        new="n_projections=n_projections, p=order, seed=0",
        tests=("tests/test_distances.py", "-k", "sliced"),
    ),
    distances(
        "permutation test: the p-value does not count itself",
        old="float(result.pvalue)",
        new="float(np.mean(result.null_distribution >= result.statistic))",
        tests=("tests/test_permutations.py", "-k", "p_value"),
    ),
    distances(
        "permutation test: the wrong tail",
        old='alternative="greater"',
        new='alternative="less"',
        tests=("tests/test_permutations.py", "-k", "p_value"),
    ),
    kernels(
        "permutation test: another estimate on the fast path",
        old="pairs_x, pairs_y = m * (m - 1), n * (n - 1)",
        new="pairs_x, pairs_y = m * m, n * n",
        tests=("tests/test_permutations.py", "-k", "fast"),
    ),
]

THEORY = [
    gaussian(
        "gaussian distance: half of the shared term",
        old="return _log_det(shared) - 0.5 * _log_det(s_a) - 0.5 * _log_det(s_b)",
        new="return 0.5 * _log_det(shared) - 0.5 * _log_det(s_a) - 0.5 * _log_det(s_b)",
    ),
    gaussian(
        "gaussian distance: the gap of the means counts twice",
        old="+ 0.25 * _outer(m_a - m_b, m_a - m_b)",
        new="+ 0.5 * _outer(m_a - m_b, m_a - m_b)",
    ),
    gaussian(
        "gaussian loss: as the paper prints it, without a in the square",
        old="0.25 * (slope * m_a + offset - m_b) ** 2",
        new="0.25 * (m_a + offset - m_b) ** 2",
    ),
    gaussian(
        "gaussian loss: sign of the log-determinant",
        old="return _log_det(shared) - _log_det(linear)",
        new="return _log_det(shared) + _log_det(linear)",
    ),
    gaussian(
        "gaussian gradient: inverse not transposed",
        old="- np.swapaxes(inverse, -1, -2)",
        new="- inverse",
    ),
    gaussian(
        "gaussian likelihood: the constant is dropped",
        old="-0.5 * (matrix.shape[-1] * _LOG_2PI_E + _log_det(matrix))",
        new="-0.5 * _log_det(matrix)",
    ),
    gaussian(
        "monge map: square root missing",
        old="_power(root @ s_b @ root, 0.5) @ inverse_root",
        new="(root @ s_b @ root) @ inverse_root",
    ),
    gaussian(
        "gaussian arrays: the whitening matrix is transposed",
        old='"lower": np.tril(whitening, -1)',
        new='"lower": np.triu(whitening, 1)',
    ),
    divergences(
        "jsd: twice its value",
        old="return 0.5 * (p + q) * np.where(size < 1, near, far)",
        new="return (p + q) * np.where(size < 1, near, far)",
    ),
    divergences(
        "gaussian kl: the wrong way round",
        old="np.linalg.solve(root_q, root_p)",
        new="np.linalg.solve(root_p, root_q)",
    ),
    divergences(
        "kl: finite where q misses p",
        old="return math.inf if pair.q_misses_p else value",
        new="return value",
    ),
    histogram(
        "histogram distance: once the divergence",
        old="return 2.0 * histogram_jsd(first.ravel(), second.ravel())",
        new="return histogram_jsd(first.ravel(), second.ravel())",
    ),
    histogram(
        "histogram likelihood: sign of the volume",
        old="xlogy(shares, shares) - shares * log_volume",
        new="xlogy(shares, shares) + shares * log_volume",
        tests=("tests/theory/test_histogram.py", "-k", "not (tfp or lrd)"),
    ),
    histogram(
        "histogram bias: sample sizes swapped",
        old="second * (1 - first) / n_a + first * (1 - second) / n_b",
        new="second * (1 - first) / n_b + first * (1 - second) / n_a",
    ),
    mixtures(
        "mixtures: slope of the law without its root",
        old="/ np.maximum(w, 2 * s**2) / 2**0.5)",
        new="/ np.maximum(w, 2 * s**2))",
    ),
    mixtures(
        "mixtures: gradient of one side only",
        old="return np.asarray(log_size + np.log(2.0))",
        new="return np.asarray(log_size)",
    ),
    mixtures(
        "mixtures: plateau of one side only",
        old="np.log1p((d / s) ** 2) + 2 * np.exp(log_term)",
        new="np.log1p((d / s) ** 2) + np.exp(log_term)",
    ),
    mixtures(
        "mixtures: sign of the simulated gradient's offset",
        file="lrmf/theory/mixture_simulation.py",
        tests=("tests/theory/test_mixture_simulation.py",),
        old="np.mean(share * (x - value) / v)",
        new="np.mean(share * (x + value) / v)",
    ),
    mixtures(
        "mixtures: a negative offset is accepted",
        file="lrmf/theory/mixture_arguments.py",
        old='    array = finite(delta, name="delta")\n    if (array < 0).any():',
        new='    array = finite(delta, name="delta")\n    if (array < -1e9).any():',
    ),
    Mutant(
        "mixtures: quadrature without the density's scale",
        "lrmf/theory/tilted_quadrature.py",
        "((x - d) / s) ** 2 - np.log(s)",
        "((x - d) / s) ** 2",
        ("tests/theory/test_tilted_quadrature.py",),
    ),
    optimum(
        "mixtures: variance of the best model with its means' distance",
        old="return max(total - a**2, float(floor))",
        new="return max(total, float(floor))",
    ),
    optimum(
        "mixtures: projection without the model's covariance",
        old="direction = np.linalg.solve(w, by)",
        new="direction = by",
    ),
]

DATA = [
    toy(
        "moons: turned clockwise",
        old="return (points - centre) @ matrix.T + centre",
        new="return (points - centre) @ matrix + centre",
    ),
    toy(
        "moons: source and target have the same noise",
        old="random_state=_legacy_seed(target_seed)",
        new="random_state=_legacy_seed(source_seed)",
    ),
    images(
        "images: axes swapped",
        old="ndimage.zoom(images, (1, factor, factor)",
        new="ndimage.zoom(images.swapaxes(1, 2), (1, factor, factor)",
    ),
    images(
        "images: shrunk without smoothing",
        old="if old > size:",
        new="if old > 10**6:",
    ),
    images(
        "images: slanted to the left",
        old="[0.0, slope, 1.0]])",
        new="[0.0, -slope, 1.0]])",
    ),
    Mutant(
        "usps: grey values rounded down",
        "lrmf/data/formats.py",
        "((thousandths + 1000) * 255 + 1000) // 2000",
        "((thousandths + 1000) * 255) // 2000",
        ("tests/data/test_formats.py",),
    ),
    fetch(
        "downloads: hashes of arrays are not checked",
        old="        if found != expected:",
        new="        if not found:",
    ),
    fetch(
        "downloads: the md5 is not checked",
        old="if md5 != file.md5:",
        new="if not md5:",
    ),
    fetch(
        "downloads: the cache comes before the data folder",
        tests=("tests/data/test_data_folder.py",),
        old="if folder is not None:\n        arrays = _load",
        new="if folder and not (cache_dir() / file.name).is_file():\n        arrays = _load",
    ),
    digits(
        "digits: training and test part swapped",
        old='_select(digits, _held_out(digits.labels) == (split == "test"), split=split)',
        new='_select(digits, _held_out(digits.labels) != (split == "test"), split=split)',
    ),
    digits(
        "digits: ink is not one",
        old="/ np.float32(255)",
        new="/ np.float32(256)",
    ),
]

DRAWN = [
    player(
        "player: differences to the wrong frame",
        file="lrmf/player/encoding.py",
        old="np.diff(whole, axis=0, prepend=0)",
        new="np.diff(whole, axis=0, append=0)",
    ),
    player(
        "player: shares of denser cells",
        file="lrmf/player/encoding.py",
        old="order = np.argsort(heights, axis=None",
        new="order = np.argsort(-heights, axis=None",
    ),
    player(
        "player: points of other frames than their steps",
        file="lrmf/player/tracks.py",
        old="np.stack([moved[i] for i in chosen])",
        new="np.stack(moved[: len(chosen)])",
        tests=("tests/player/test_tracks.py",),
    ),
    player(
        "player: the picture shows the next frame",
        file="lrmf/player/still.py",
        old='np.searchsorted(track.steps, step, side="right")) - 1',
        new='np.searchsorted(track.steps, step, side="right"))',
        tests=("tests/player/test_page.py", "-k", "scripts or still"),
    ),
    Mutant(
        "widgets: sign of the log-determinant",
        "lrmf/widgets/gaussian_case.py",
        "log_det=-math.log(state.a)",
        "log_det=math.log(state.a)",
        ("tests/test_widgets_numbers.py", "-k", "terms or moments or optimum"),
    ),
    Mutant(
        "widgets: standard deviation of a mixture without its gap",
        "lrmf/widgets/mixture_distance.py",
        "line = state.center_a, np.hypot(state.gap_a, state.std_a)",
        "line = state.center_a, state.std_a",
        ("tests/test_widgets_numbers.py", "-k", "terms or moments or optimum"),
    ),
    Mutant(
        "widgets: a step in a, not in its logarithm",
        "lrmf/widgets/descent.py",
        "log_a -= state.rate_a * a * float(",
        "log_a -= state.rate_a * float(",
        ("tests/test_widgets_numbers.py", "-k", "takes_steps"),
    ),
    Mutant(
        "widgets: clouds turned as they are, not where they are white",
        "lrmf/widgets/clouds.py",
        "return np.asarray(x @ turn.T + shift)",
        "return np.asarray((x - mean) @ np.transpose(rotation) + mean)",
        ("tests/test_widgets_numbers.py", "-k", "no_angle"),
    ),
    Mutant(
        "widgets: numbers are not clamped",
        "lrmf/widgets/explorer.py",
        "float(min(max(exact, low), high))",
        "exact",
        ("tests/test_widgets.py", "-k", "numbers or corner"),
    ),
    Mutant(
        "plots: an ellipse of half the size",
        "lrmf/plots.py",
        "widths = 2 * np.sqrt(",
        "widths = np.sqrt(",
        ("tests/test_plots.py", "-k", "ellipse or density"),
    ),
    Mutant(
        "plots: regions of the least density",
        "lrmf/_plot_model.py",
        "descending = np.sort(heights, axis=None)[::-1]",
        "descending = np.sort(heights, axis=None)",
        ("tests/test_plots.py", "-k", "ellipse or density"),
    ),
    Mutant(
        "plots: the running mean looks back too far",
        "lrmf/_plot_data.py",
        "start = np.maximum(end - window, 0)",
        "start = np.maximum(end - window - 1, 0)",
        ("tests/test_plots.py", "-k", "loss"),
    ),
]

MUTANTS = (*DISTANCES, *THEORY, *DATA, *DRAWN)
