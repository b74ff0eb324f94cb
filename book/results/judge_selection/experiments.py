"""The experiment behind "Choosing a map": fifty maps a pair, and numbers that rank them.

Each map is fitted on one sample of its pair. What a user could choose by is measured on a second
one, of the same size: the judge's distance, MMD, and two numbers that use the labels of A,
prediction entropy and circular validation. How good the map is, a third sample says: by the area
under a classifier's ROC curve, and by the labels of B, which no choice may see.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from book.results.comparison.methods import CHOSEN, make
from book.results.defaults.experiments import clusters
from book.results.runner import Arrays, Numbers, Run

__all__ = ["compute", "runs"]

#: Seeds of the data that nothing was tuned on; 1 is added for the second sample, 2 for the third.
DATA = 4000
TEST_POINTS = 4000
#: Two angles, three kinds of moons; six features, bent or not.
PAIRS: dict[str, dict[str, Any]] = {
    f"moons {angle:+.0f} {kind}".strip(): {"rotation": angle, "noise": noise, "n": n}
    for (kind, noise, n), angle in itertools.product(
        (("", 0.05, 2000), ("noisy", 0.2, 2000), ("few", 0.05, 400)), (-50.0, 50.0)
    )
} | {f"clusters {kind}": {"distortion": kind, "n": 2000} for kind in ("affine", "bent")}

#: Each method as the comparison's search chose it, and in haste: a tenth of the steps, at three
#: times the rate.
TRAINED = ("lrmf", "aub", "mmd", "emd", "back-to-back", "sn-gan", "adversarial")
STEPS, HASTE = 2000, (200, 3.0)
SEEDS = range(3)
FIXED: dict[str, dict[str, Any]] = {
    "untouched": {},
    "collapsed": {},
    "reflected": {},
    "coral": {},
    "gaussian-ot": {},
    "emd-plan": {},
    "entropic-ot 0.02": {"regularization": 0.02},
    "entropic-ot 0.5": {"regularization": 0.5},
}


def runs(steps: int | None = None) -> Iterator[Run]:
    """Give all runs, a pair after the other; ``steps`` makes them tiny."""
    for pair in PAIRS:
        for name, settings in FIXED.items():
            yield _run(pair, name, method=name.partition(" ")[0], **settings)
        for method, hasty, seed in itertools.product(TRAINED, (False, True), SEEDS):
            settings = {"hasty": hasty, "seed": seed, "steps": HASTE[0] if hasty else STEPS}
            name = f"{method} {'hasty ' if hasty else ''}seed {seed}"
            tiny = {} if steps is None else {"steps": steps}
            yield _run(pair, name, method=method, **settings | tiny)


def _run(pair: str, name: str, **settings: Any) -> Run:
    return Run(name=f"{pair}: {name}", compute=compute, settings={"pair": pair, **settings})


def compute(*, pair: str, method: str, **settings: Any) -> tuple[Numbers, Arrays]:
    """Fit one map, measure what it could be chosen by, and how good it is."""
    fitted, held_out, test = (sample(pair, which) for which in range(3))
    move = _map(method, fitted, **settings)
    moved, chosen_on, judged_on = (move(s.source) for s in (fitted, held_out, test))
    if not all(np.isfinite(x).all() for x in (moved, chosen_on, judged_on)):
        return {"diverged": True}, {}

    of_a = KNeighborsClassifier(15).fit(moved, fitted.source_labels)
    guessed = of_a.predict_proba(held_out.target)
    labels = of_a.classes_[guessed.argmax(axis=1)]
    back = KNeighborsClassifier(15).fit(held_out.target, labels)
    of_b = KNeighborsClassifier(1).fit(fitted.target, fitted.target_labels)
    return {
        "diverged": False,
        "score": -lrmf.lrd(chosen_on, held_out.target, controls=False).lrd,
        "mmd2": float(lrmf.distances.mmd2(chosen_on, held_out.target)),
        "entropy": float(stats.entropy(guessed, axis=1).mean()),
        "circular": float(back.score(chosen_on, held_out.source_labels)),
        "auc": auc(judged_on, test.target),
        "accuracy": float(of_b.score(judged_on, test.source_labels)),
    }, {}


def sample(pair: str, which: int) -> Any:
    """The sample that maps are fitted to (0), that they are chosen on (1), or judged on (2)."""
    shape = dict(PAIRS[pair])
    if which == 2:
        shape["n"] = TEST_POINTS
    if "rotation" in shape:
        return lrmf.data.moons(seed=DATA + 10 * list(PAIRS).index(pair) + which, **shape)
    return clusters(d=6, pair=DATA, seed=DATA + which, **shape)


def _map(method: str, pair: Any, *, hasty: bool = False, **settings: Any) -> Any:
    a, b = pair.source, pair.target
    centre = b.mean(axis=0)
    if method == "untouched":
        return lambda x: x
    if method == "collapsed":  # to a hundredth of B's size
        return lambda x: centre + 0.01 * (x - a.mean(axis=0)) * b.std(axis=0) / a.std(axis=0)
    if method == "reflected":  # B is taken for its mirror image in its centre
        moments = lrmf.GaussianOT().fit(Xs=a, Xt=b)
        return lambda x: 2.0 * centre - moments.transform(x)
    if "seed" in settings:
        settings = CHOSEN[method] | settings
        if hasty:
            settings["learning_rate"] *= HASTE[1]
    return make(method, **{"seed": 0} | settings).fit(Xs=a, Xt=b).transform


def auc(x: np.ndarray, y: np.ndarray) -> float:
    """The area under the ROC curve, cross-validated; the larger of two classifiers'."""
    points, side = np.concatenate([x, y]), np.repeat([1, 0], [len(x), len(y)])
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    found = []
    for classifier in (HistGradientBoostingClassifier(random_state=0), KNeighborsClassifier(50)):
        guessed = cross_val_predict(classifier, points, side, cv=5, method="predict_proba")[:, 1]
        found.append(float(roc_auc_score(side, guessed)))
    return max(found)
