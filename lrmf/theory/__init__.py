"""Closed forms and quadrature: what a fitted model ought to find, computed without fitting."""

from lrmf.theory import divergences, gaussian, mixtures

__all__ = ["divergences", "gaussian", "mixtures"]
