"""Closed forms and quadrature: what a fitted model ought to find, computed without fitting."""

from lrmf.theory import gaussian

__all__ = ["gaussian"]
