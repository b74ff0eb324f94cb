"""The keys of a cipher, for the checks of the alignment problem."""

import itertools

import numpy as np


def keys_that_fit(a, b):
    return [key for key in itertools.permutations(range(len(a))) if np.array_equal(a, b[list(key)])]
