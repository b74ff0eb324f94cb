"""Laws on a few cells and their divergences, for the checks of judges and labels."""

import numpy as np
from scipy import special


def laws(seed, cells=12):
    """Two distributions on some cells, and the posterior probability of the first."""
    a, b = np.random.default_rng(seed).dirichlet(np.full(cells, 0.7), size=2)
    return a, b, a / (a + b)


def kl(p, q):
    return float(np.sum(special.rel_entr(p, q)))


def twice_jsd(a, b):
    m = (a + b) / 2.0
    return kl(a, m) + kl(b, m)


def entropy(w):
    return special.entr(w) + special.entr(1.0 - w)
