"""Files that are no saved aligner, or a damaged one, are refused; old ones are read."""

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from aligner_cases import PAIR

import lrmf
from lrmf import storage


def rewrite(path, change):
    """Change the document of a file that is otherwise sound."""
    arrays, document = storage.read(path, "LRMF")
    storage.write(path, arrays, change(arrays, document) or document)


class TestBadFiles:
    @pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
    def test_cut_short(self, damaged, share):
        content = damaged.read_bytes()
        damaged.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=r"damaged\.lrmf is not a file written by lrmf, or it"):
            lrmf.LRMF.load(damaged)

    def test_text(self, damaged):
        damaged.write_text("x,y\n0.1,0.2\n" * 50)
        with pytest.raises(ValueError, match="is not a file written by lrmf"):
            lrmf.LRMF.load(damaged)

    def test_weights_of_another_program(self, damaged):
        safetensors.numpy.save_file({"weight": np.zeros((3, 3))}, damaged)
        with pytest.raises(ValueError, match="is not a file written by lrmf"):
            lrmf.LRMF.load(damaged)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.lrmf"):
            lrmf.LRMF.load(tmp_path / "nothing.lrmf")

    def test_a_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            lrmf.LRMF.load(tmp_path)

    def test_a_checkpoint(self, tmp_path, small):
        fit_with_checkpoint = small(steps=1, private_steps=1, refit_steps=1)
        path = tmp_path / "fit.ckpt"
        fit_with_checkpoint.fit(Xs=PAIR.source, Xt=PAIR.target, checkpoint=path)
        with pytest.raises(
            ValueError, match="holds a checkpoint, expected a LRMF; name the file of"
        ):
            lrmf.LRMF.load(path)

    def test_a_flipped_bit(self, damaged):
        content = bytearray(damaged.read_bytes())
        content[-1] ^= 1
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged\.lrmf .* is not what its SHA-256 says"):
            lrmf.LRMF.load(damaged)

    def test_a_fact_that_is_none(self, damaged):
        rewrite(damaged, lambda _, document: document["facts"].update(status="finished"))
        with pytest.raises(ValueError, match=r"is damaged, or of .*: a LRMF has no status; save"):
            lrmf.LRMF.load(damaged)

    def test_a_fact_that_is_missing(self, damaged):
        rewrite(damaged, lambda _, document: document["facts"].pop("complete_") and None)
        with pytest.raises(ValueError, match="is damaged: it lacks complete_; save the model"):
            lrmf.LRMF.load(damaged)

    def test_a_parameter_that_is_none(self, damaged):
        rewrite(damaged, lambda _, document: document["parameters"].update(stepz=3))
        with pytest.raises(ValueError, match="a LRMF has no stepz; save the model again"):
            lrmf.LRMF.load(damaged)

    def test_arrays_of_nothing(self, damaged):
        def change(arrays, _):
            arrays["histori_/loss"] = arrays.pop("history_/loss")

        rewrite(damaged, change)
        with pytest.raises(ValueError, match="no model has the arrays histori_/loss; save the"):
            lrmf.LRMF.load(damaged)

    def test_parameters_nested_without_end(self, damaged):
        def change(_, document):
            nested = []
            for _ in range(600):
                nested = [nested]
            document["parameters"]["steps"] = nested

        rewrite(damaged, change)
        with pytest.raises(ValueError, match=r"is damaged: its parameters are nested without end"):
            lrmf.LRMF.load(damaged)

    def test_an_unknown_spec(self, damaged):
        def change(_, document):
            document["parameters"]["density"]["spec"]["name"] = "Spline"

        rewrite(damaged, change)
        with pytest.raises(ValueError, match=r"unknown spec 'Spline'; this version of lrmf knows"):
            lrmf.LRMF.load(damaged)

    def test_arrays_that_do_not_fit(self, damaged):
        def change(arrays, _):
            arrays["refitted_target_/mean"] = np.zeros(3)

        rewrite(damaged, change)
        with pytest.raises(ValueError, match=r"the arrays in .* do not fit the density Gaussian"):
            lrmf.LRMF.load(damaged)

    def test_arrays_that_are_missing(self, damaged):
        def change(arrays, _):
            del arrays["density_/mean"]

        rewrite(damaged, change)
        with pytest.raises(ValueError, match="do not fit the density"):
            lrmf.LRMF.load(damaged)

    def test_unknown_backend(self, file):
        with pytest.raises(ValueError, match="unknown backend 'torch'"):
            lrmf.LRMF.load(file, backend="torch")

    @pytest.mark.parametrize(
        ("part", "message"),
        [
            ("parameters", r"damaged\.lrmf is damaged: it lacks parameters; save the model again"),
            ("facts", r"is damaged: it lacks facts"),
            ("event_shape", r"is damaged: it lacks event_shape"),
        ],
    )
    def test_a_document_without_its_parts(self, damaged, part, message):
        rewrite(damaged, lambda _, document: {k: v for k, v in document.items() if k != part})
        with pytest.raises(ValueError, match=message):
            lrmf.LRMF.load(damaged)

    def test_other_spec_than_saved(self, file):
        with pytest.raises(ValueError, match=r"do not fit the density RealNVP"):
            lrmf.LRMF.load(file, density=lrmf.RealNVP(hidden=(8,)))


class TestOldFiles:
    """One of each version of the format and kind, written by the code of its time."""

    POINTS = np.array([[0.1257302165031433, -0.13210485875606537]], dtype=np.float32)

    @pytest.mark.parametrize(
        ("name", "kind", "image"),
        [
            ("version_1", lrmf.LRMF, [0.12638446688652039, -0.13219237327575684]),
            ("version_1_aub", lrmf.AUB, [0.1284358948469162, -0.130194291472435]),
            ("version_1_coral", lrmf.CORAL, [1.2514604234910292, 0.7357902839888173]),
            ("release_0.1.0", lrmf.LRMF, [1.137580210938909, 0.9687498606600403]),
        ],
    )
    def test_they_are_read_and_saved_as_today(self, tmp_path, name, kind, image):
        loaded = kind.load(Path(__file__).parents[1] / "files" / f"{name}.lrmf")
        np.testing.assert_allclose(loaded.transform(self.POINTS), [image], rtol=1e-5)
        loaded.save(tmp_path / "new.lrmf")
        again = kind.load(tmp_path / "new.lrmf")
        assert again.get_params() == loaded.get_params()
        np.testing.assert_array_equal(again.transform(self.POINTS), loaded.transform(self.POINTS))

    def test_there_is_one_of_every_release(self):
        root = Path(__file__).parents[2]
        changes = (root / "CHANGELOG.md").read_text(encoding="utf8")
        releases = set(re.findall(r"^## (\d+\.\d+\.\d+)", changes, re.MULTILINE))
        kept = {path.stem for path in (root / "tests" / "files").glob("release_*.lrmf")}
        assert kept == {f"release_{release}" for release in releases}

    def test_of_version_2_one_standardisation_is_that_of_all_domains(self, tmp_path):
        loaded = lrmf.AUB.load(Path(__file__).parents[1] / "files" / "version_2.lrmf")
        point = np.full((1, 2), 2.0**20)
        np.testing.assert_allclose(
            loaded.transform(point), [[1048875.19987356, 1048575.97802712]], rtol=1e-9
        )
        np.testing.assert_allclose(loaded.private_target_.log_prob(point), -7.830315, rtol=1e-6)
        assert loaded.standardizations_["source"] is loaded.standardizations_["target"]
        loaded.save(tmp_path / "new.lrmf")
        again = lrmf.AUB.load(tmp_path / "new.lrmf")
        np.testing.assert_array_equal(again.transform(point), loaded.transform(point))

    def test_of_version_3_each_domain_has_its_own_standardisation(self, tmp_path):
        loaded = lrmf.AUB.load(Path(__file__).parents[1] / "files" / "version_3.lrmf")
        point = np.array([[300.0, 256.0]])
        moved = loaded.transform(point)
        np.testing.assert_allclose(moved, [[-0.23453280, -0.02084606]], rtol=1e-6)
        np.testing.assert_allclose(loaded.inverse_transform(moved), point, rtol=1e-6)
        np.testing.assert_allclose(loaded.private_source_.log_prob(point), -8.276577, rtol=1e-6)
        own = loaded.standardizations_
        assert own["source"].scale[0] / own["target"].scale[0] > 600
        loaded.save(tmp_path / "new.lrmf")
        again = lrmf.AUB.load(tmp_path / "new.lrmf")
        np.testing.assert_array_equal(again.transform(point), moved)

    def test_there_is_a_file_of_each_version(self):
        found = {p.name[:9] for p in (Path(__file__).parents[1] / "files").glob("version_*")}
        assert found == {f"version_{v}" for v in range(1, storage._VERSION + 1)}
