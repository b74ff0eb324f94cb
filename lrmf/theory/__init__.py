"""Closed forms and quadrature: what a fitted model ought to find, computed without fitting."""

from lrmf.theory import divergences, gaussian, histogram, mixtures

__all__ = ["divergences", "gaussian", "histogram", "mixtures"]
