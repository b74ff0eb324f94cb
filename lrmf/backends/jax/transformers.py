"""Scalar transformers in JAX: values and logarithms of derivatives, entry by entry."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from ...specs import Shift, ShiftScale, Spline

__all__ = ["apply"]


@functools.singledispatch
def apply(transformer: Any, parameters: Any, x: Any, *, inverse: bool) -> tuple[Any, Any]:
    """τ(x), or its inverse, and the logarithm of the derivative of what was applied.

    ``parameters`` are ``(parameters, *x.shape)``.
    """
    raise TypeError(f"the JAX backend has no {type(transformer).__name__}")


@apply.register
def _(transformer: Shift, parameters: Any, x: Any, *, inverse: bool) -> tuple[Any, Any]:
    (shift,) = parameters
    return (x - shift if inverse else x + shift), jnp.zeros_like(x)


@apply.register
def _(transformer: ShiftScale, parameters: Any, x: Any, *, inverse: bool) -> tuple[Any, Any]:
    shift, raw_scale = parameters
    log_scale = transformer.bound * jnp.tanh(raw_scale / transformer.bound)
    if inverse:
        return (x - shift) * jnp.exp(-log_scale), -log_scale
    return x * jnp.exp(log_scale) + shift, log_scale


@apply.register
def _(transformer: Spline, parameters: Any, x: Any, *, inverse: bool) -> tuple[Any, Any]:
    bound, bins, least = transformer.bound, transformer.bins, transformer.minimum
    raw_widths, raw_heights, raw_slopes = jnp.split(parameters, [bins, 2 * bins])
    widths, heights = (
        2.0 * bound * (least + (1.0 - least * bins) * jax.nn.softmax(raw, axis=0))
        for raw in (raw_widths, raw_heights)
    )
    lefts, bottoms = (jnp.cumsum(sizes, axis=0) - sizes - bound for sizes in (widths, heights))
    one = jnp.ones_like(x)[None]
    inner = least + jax.nn.softplus(raw_slopes + math.log(math.expm1(1.0 - least)))
    slopes = jnp.concatenate((one, inner, one))

    inside = (-bound < x) & (x < bound)
    # Outside, any point inside stands in, so that no gradient there is infinite.
    point = jnp.where(inside, x, 0.0)
    # Sums over bins of which one counts: a gather would be slow, its gradient above all.
    reached = point >= (bottoms if inverse else lefts)[1:]
    yes = jnp.ones_like(inside)[None]
    chosen = jnp.concatenate((yes, reached)) & ~jnp.concatenate((reached, ~yes))
    left, width, bottom, height, start, end = (
        jnp.sum(jnp.where(chosen, values, 0.0), axis=0)
        for values in (lefts, widths, bottoms, heights, slopes[:-1], slopes[1:])
    )

    mean = height / width
    bend = start + end - 2.0 * mean
    if inverse:
        rise = point - bottom
        a, b, c = height * (mean - start) + rise * bend, height * start - rise * bend, -mean * rise
        share = 2.0 * c / (-b - jnp.sqrt(b * b - 4.0 * a * c))
        value = left + share * width
    else:
        share = (point - left) / width
    rest = share * (1.0 - share)
    below = mean + bend * rest
    if not inverse:
        value = bottom + height * (mean * share**2 + start * rest) / below
    log_slope = 2.0 * jnp.log(mean / below) + jnp.log(
        end * share**2 + 2.0 * mean * rest + start * (1.0 - share) ** 2
    )
    return (
        jnp.where(inside, value, x),
        jnp.where(inside, -log_slope if inverse else log_slope, 0.0),
    )
