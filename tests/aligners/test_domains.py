"""AUB of any number of domains."""

import numpy as np
import pytest

import lrmf

PAIR = lrmf.data.blobs(n=200, seed=0)
TEST = lrmf.data.blobs(n=2000, seed=1)

#: Whole chunks of a hundred steps, because a rest is compiled by itself.
SETTINGS = {
    "transform": lrmf.Affine(),
    "steps": 200,
    "batch_size": 64,
    "learning_rate": 0.03,
    "progress": False,
}
SHARED = {**SETTINGS, "density": lrmf.Gaussian(), "private_steps": 200, "refit_steps": 200}


def three_samples(seed):
    """Of one law, moved apart."""
    rng, shifts = np.random.default_rng(seed), ([0.0, 0.0], [2.0, 0.0], [0.0, -3.0])
    return [rng.normal(size=(200 + 10 * j, 2)) + shift for j, shift in enumerate(shifts)]


@pytest.fixture(scope="module")
def three():
    settings = {**SHARED, "steps": 600, "private_steps": 600}
    return lrmf.AUB(**settings).fit(domains=three_samples(0))


class TestDomains:
    def test_each_is_mapped_to_each_other(self, three):
        data = three_samples(1)
        assert len(three.maps_) == 3
        for j, x in enumerate(data):
            for k, y in enumerate(data):
                moved = three.transform(x, domain=j, to=k)
                np.testing.assert_allclose(moved.mean(axis=0), y.mean(axis=0), atol=0.4)
                back = three.inverse_transform(moved, domain=j, to=k)
                np.testing.assert_allclose(back, x, atol=1e-3)
        by_hand = three.maps_[2].inverse(three.maps_[1].forward(data[1])[0])[0]
        np.testing.assert_array_equal(three.transform(data[1], domain=1, to=2), by_hand)
        # From the first to the last, unless one says otherwise.
        np.testing.assert_array_equal(
            three.transform(data[0]), three.transform(data[0], domain=0, to=2)
        )

    def test_the_certificate_is_of_all_of_them(self, three):
        data = three_samples(1)
        certificate = three.family_certificate(domains=data)
        assert certificate.verdict.startswith("aligned")
        terms = [
            (three.density_.log_prob(flow.forward(x)[0]) + flow.forward(x)[1], x)
            for flow, x in zip(three.maps_, data, strict=True)
        ]
        private = [getattr(three, f"private_domain_{j}_") for j in range(3)]
        bound = sum(
            float(np.mean(p.log_prob(x) - shared))
            for p, (shared, x) in zip(private, terms, strict=True)
        )
        assert certificate.bound == pytest.approx(bound, abs=1e-4)
        apart = lrmf.AUB(**SHARED | {"transform": lrmf.Identity()}).fit(domains=three_samples(0))
        far = apart.family_certificate(domains=data)
        assert far.verdict.startswith("not aligned")

    def test_the_judge_sees_the_worst_domain(self, three):
        data = three_samples(1)
        assert three.score(domains=data) > -0.1
        data[1] = data[1] + 5.0
        found = three.certificate(domains=data)
        assert found.decision == "not aligned"
        assert three.score(domains=data) == -found.lrd
        with pytest.raises(TypeError, match=r"the fit had 3 domains; pass domains="):
            three.certificate(data[0], data[2])

    def test_it_survives_a_file(self, three, tmp_path):
        three.save(tmp_path / "model.lrmf")
        loaded = lrmf.AUB.load(tmp_path / "model.lrmf", backend="tfp")
        data = three_samples(1)
        np.testing.assert_allclose(
            loaded.transform(data[1], domain=1, to=0),
            three.transform(data[1], domain=1, to=0),
            atol=1e-4,
        )
        assert loaded.family_certificate(domains=data).lrd == pytest.approx(
            three.family_certificate(domains=data).lrd, abs=1e-4
        )

    def test_two_domains_are_source_and_target(self):
        settings = {**SHARED, "steps": 5, "private_steps": 5, "refit_steps": 5}
        expected = lrmf.AUB(**settings).fit(Xs=PAIR.source, Xt=PAIR.target)
        found = lrmf.AUB(**settings).fit(domains=[PAIR.source, PAIR.target])
        np.testing.assert_equal(found.history_, expected.history_)
        assert found.family_certificate(TEST.source, TEST.target) == expected.family_certificate(
            domains=[TEST.source, TEST.target]
        )

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"domains": [TEST.source]}, ValueError, "domains must be a list .* got 1"),
            ({"domains": TEST.source}, ValueError, "domains must be a list .* got ndarray"),
            ({"domains": [TEST.source] * 2, "Xs": TEST.source}, TypeError, "give either domains"),
            (
                {"domains": [TEST.source, TEST.source[:, :1]]},
                ValueError,
                r"expected domains\[1\] with 2 features like domains\[0\], got 1",
            ),
            (
                {"domains": [TEST.source] * 3, "sample_weights": [None] * 2},
                ValueError,
                "sample_weights must be a list of weights .* for each of 3 domains",
            ),
            ({"sample_weights": [None]}, TypeError, "sample_weights goes with domains="),
        ],
    )
    def test_bad_domains(self, options, error, message, nothing_compiles):
        with pytest.raises(error, match="^" + message):
            lrmf.AUB(**SHARED).fit(**options)

    def test_bad_numbers_of_domains(self, three):
        data = three_samples(1)
        for name in ("domain", "to"):
            for bad in (3, -4, 0.5, None):
                with pytest.raises(ValueError, match=f"^{name} must be the number of one of the 3"):
                    three.transform(data[0], **{name: bad})
        with pytest.raises(TypeError, match="the fit had 3 domains; pass domains="):
            three.family_certificate(data[0], data[1])
        with pytest.raises(ValueError, match="expected 3 domains as in fit, got 2"):
            three.family_certificate(domains=data[:2])
