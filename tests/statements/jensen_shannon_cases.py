"""Laws with densities on a grid, and their divergences."""

import numpy as np
from scipy import special, stats

import lrmf
from lrmf.theory import gaussian


def grid(d, reach=9.0, points=None):
    """Nodes ``(n, d)`` and the weight of each: the trapezoidal rule for densities that decay."""
    axis = np.linspace(-reach, reach, points or {1: 3001, 2: 241}[d])
    x = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    return x, (axis[1] - axis[0]) ** d


class Law:
    """A mixture of two normal distributions on R^d, or the normal one with its moments."""

    def __init__(self, d, rng, *, gap=1.0, shift=0.0, components=2):
        self.means = shift + gap * rng.normal(size=(components, d))
        self.stds = np.exp(0.25 * rng.normal(size=components) - 0.4)

    def log_density(self, x):
        parts = [
            stats.norm.logpdf(x, mean, std).sum(axis=1)
            for mean, std in zip(self.means, self.stds, strict=True)
        ]
        return special.logsumexp(parts, axis=0) - np.log(len(parts))

    @property
    def moments(self):
        mean = self.means.mean(axis=0)
        centred = self.means - mean
        spread = np.mean(self.stds**2) * np.eye(len(mean))
        return mean, spread + centred.T @ centred / len(centred)


def normal_log_density(x, mean, cov):
    return np.atleast_1d(stats.multivariate_normal(mean, cov).logpdf(x))


def divergence(log_p, log_q, cell):
    return cell * np.sum(np.exp(log_p) * (log_p - log_q))


def twice_jsd(log_a, log_b, cell):
    log_m = np.logaddexp(log_a, log_b) - np.log(2)
    return divergence(log_a, log_m, cell) + divergence(log_b, log_m, cell)


def laws(d, seed, **options):
    rng = np.random.default_rng([d, seed])
    return Law(d, rng, **options), Law(d, rng, shift=1.0, **options)


# Families of normal densities: all of them, and those with unit covariance. Each gives the best
# log-density for a law with these moments, and the distance of two laws in closed form.


def normals(x, mean, cov):
    return normal_log_density(x, mean, cov)


def unit_normals(x, mean, cov):
    return normal_log_density(x, mean, np.eye(len(mean)))


def distance(family, first, second):
    if family is normals:
        return float(gaussian.distance(*first, *second))
    return 0.25 * float(np.sum((first[0] - second[0]) ** 2))


def terms(family, a, b, d, *, share=0.5):
    """2 JSD, KL(A‖M), KL(B‖M), 2 KL(mixture‖M), with a share of A in the last one's mixture."""
    x, cell = grid(d)
    log_a, log_b = a.log_density(x), b.log_density(x)
    log_m = np.logaddexp(log_a + np.log(share), log_b + np.log(1 - share))
    mean = share * a.moments[0] + (1 - share) * b.moments[0]
    gap = a.moments[0] - b.moments[0]
    cov = (
        share * a.moments[1] + (1 - share) * b.moments[1] + share * (1 - share) * np.outer(gap, gap)
    )
    return np.array(
        [
            twice_jsd(log_a, log_b, cell),
            divergence(log_a, family(x, *a.moments), cell),
            divergence(log_b, family(x, *b.moments), cell),
            2 * divergence(log_m, family(x, mean, cov), cell),
        ]
    )


def affine_loss(backend, a, b, *, scale, shift, shared, x, cell):
    """The LRMF loss on the line, its expectations by quadrature, from a flow and a density."""
    engine = lrmf.get_backend(backend)
    arrays = {"matrix": np.array([[scale]]), "shift": np.array([shift])}
    flow = engine.flow(lrmf.Affine(), arrays, dtype="float64")
    density = engine.density(lrmf.Gaussian(), gaussian.density_arrays(*shared), dtype="float64")
    image, log_det = flow.forward(x)
    constant = float(gaussian.constant(a.moments[1], b.moments[1]))
    loss = constant - cell * np.exp(a.log_density(x)) @ (log_det + density.log_prob(image))
    return loss - cell * np.exp(b.log_density(x)) @ density.log_prob(x)


def moved_by(law, scale, shift):
    moved = Law(1, np.random.default_rng(0))
    moved.means, moved.stds = scale * law.means + shift, abs(scale) * law.stds
    return moved


def bent_flow(backend, seed):
    """A RealNVP map far from the identity, in float64."""
    rng = np.random.default_rng([seed, 7])
    spec = lrmf.RealNVP(blocks=2, hidden=(8,))
    arrays = {
        name: x + 0.2 * rng.normal(size=x.shape) / np.sqrt(x.shape[0])
        for name, x in spec.init((2,), rng).items()
    }
    return lrmf.get_backend(backend).flow(spec, arrays, dtype="float64")


def pushed(flow, law, y):
    x, log_det = flow.inverse(y)
    return law.log_density(x) + log_det
