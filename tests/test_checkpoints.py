"""Checkpoints: what they hold, what they refuse, and that a killed fit ends as if it had lived."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import lrmf
from lrmf import storage
from lrmf.checkpoints import Checkpoint, CheckpointWarning

ARRAYS = {"state/0": np.array([1.0, 2.0], np.float32), "losses": np.zeros(0)}
DOCUMENT = {"progress": {"step": 3, "best_loss": float("inf")}, "rng": {"state": 2**127 + 1}}


def open_checkpoint(path, *, fingerprint="this"):
    return Checkpoint(path, fingerprint=fingerprint, every=100)


def put(path, *records):
    with open_checkpoint(path) as opened:
        for record in records:
            opened.put(*record)


def test_records_come_back_exactly(tmp_path):
    path = tmp_path / "fit.ckpt"
    with open_checkpoint(path) as first:
        assert first.get("flow") is None
        first.put("flow", DOCUMENT, ARRAYS)
        first.put("private source", {"progress": {"step": 4}}, {})
    with open_checkpoint(path) as second:
        for opened in (first, second):
            record = opened.get("flow")
            assert record.document == DOCUMENT
            np.testing.assert_equal(record.arrays, ARRAYS)
            assert record.arrays["state/0"].dtype == np.float32
            assert opened.get("private source").document == {"progress": {"step": 4}}
            assert opened.get("private source").arrays == {}
            assert opened.get("private target") is None


def test_the_last_record_counts(tmp_path):
    path = tmp_path / "fit.ckpt"
    arrays = {"a": np.zeros(3), "b": np.zeros(2)}
    put(path, ("flow", {"step": 1}, arrays), ("flow", {"step": 2}, {"a": np.ones(4)}))
    with open_checkpoint(path) as again:
        record = again.get("flow")
    assert record.document == {"step": 2}
    np.testing.assert_equal(record.arrays, {"a": np.ones(4)})


def test_stages_side_by_side_write_whole_files(tmp_path):
    def write(opened, name):
        for step in range(20):
            opened.put(name, {"step": step}, {"a": np.full(100, step)})

    with open_checkpoint(tmp_path / "fit.ckpt") as opened:
        threads = [threading.Thread(target=write, args=(opened, name)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with open_checkpoint(tmp_path / "fit.ckpt") as again:
        for name in "abc":
            assert again.get(name).document == {"step": 19}
            np.testing.assert_array_equal(again.get(name).arrays["a"], np.full(100, 19))
    assert os.listdir(tmp_path) == ["fit.ckpt"]


def test_nothing_is_written_before_the_first_record(tmp_path):
    put(tmp_path / "fit.ckpt")
    assert os.listdir(tmp_path) == []


def test_another_fit_is_refused(tmp_path):
    path = tmp_path / "fit.ckpt"
    put(path, ("flow", DOCUMENT, ARRAYS))
    with pytest.raises(ValueError, match=r"fit\.ckpt belongs to another fit.*remove it, or name"):
        open_checkpoint(path, fingerprint="that")
    open_checkpoint(path).close()  # the refusal has let go of it


def test_a_file_in_use_is_refused_under_each_of_its_names(tmp_path):
    path, link = tmp_path / "fit.ckpt", tmp_path / "link"
    link.symlink_to(path.name)
    with open_checkpoint(path) as first:
        first.put("flow", DOCUMENT, ARRAYS)
        for name in (path, link):
            with pytest.raises(ValueError, match=r"another fit is writing the checkpoint .*wait"):
                open_checkpoint(name)
        # What another process of the same fit does.
        reader = Checkpoint(path, fingerprint="this", every=100, writes=False)
        assert reader.get("flow").document == DOCUMENT
        first.put("flow", {"step": 4}, {})
    open_checkpoint(link).close()


def test_the_lock_of_a_process_that_was_killed_is_nobodys(tmp_path):
    path = tmp_path / "fit.ckpt"
    code = (
        "import os, signal, sys; from lrmf.checkpoints import Checkpoint\n"
        "opened = Checkpoint(sys.argv[1], fingerprint='this', every=100)\n"
        "opened.put('flow', {'step': 3}, {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    child = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert child.returncode == -signal.SIGKILL
    with open_checkpoint(path) as opened:
        assert opened.get("flow").document == {"step": 3}
    assert os.listdir(tmp_path) == ["fit.ckpt"]


def test_a_failed_write_is_told_and_loses_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "fit.ckpt"
    put(path, ("flow", {"step": 1}, ARRAYS))
    with open_checkpoint(path) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            message = r"fit\.ckpt could not be written .*No space left on device.*the fit goes on"
            with pytest.warns(CheckpointWarning, match=message):
                opened.put("flow", {"step": 2}, ARRAYS)
        assert opened.get("flow").document == {"step": 2}
        assert storage.read(path, "checkpoint")[1]["stages"] == {"flow": {"step": 1}}
        opened.put("private source", {"step": 7}, {})
    with open_checkpoint(path) as again:
        assert again.get("flow").document == {"step": 2}


def test_a_fit_survives_a_full_disk(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    few = {"steps": 1, "private_steps": 1, "refit_steps": 1}
    model = lrmf.LRMF(transform=lrmf.Identity(), density=lrmf.Gaussian(), progress=False, **few)
    pair = lrmf.data.blobs(n=100, seed=0)
    with pytest.warns(CheckpointWarning, match="the fit goes on"):
        model.fit(Xs=pair.source, Xt=pair.target, checkpoint=tmp_path / "fit.ckpt")
    assert model.outcome_ == "finished"
    assert model.complete_
    assert os.listdir(tmp_path) == []


def test_another_kind_of_file_is_refused(tmp_path):
    storage.write(tmp_path / "model.lrmf", {}, {"kind": "LRMF"})
    with pytest.raises(ValueError, match=r"holds a LRMF, expected a checkpoint; name another file"):
        open_checkpoint(tmp_path / "model.lrmf")


def test_a_checkpoint_without_stages_is_refused(tmp_path):
    storage.write(tmp_path / "fit.ckpt", {}, {"kind": "checkpoint", "fingerprint": "this"})
    with pytest.raises(ValueError, match=r"the checkpoint .* is damaged; remove it"):
        open_checkpoint(tmp_path / "fit.ckpt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    path = tmp_path / "fit.ckpt"
    put(path, ("flow", DOCUMENT, ARRAYS))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"fit\.ckpt is not a file written by lrmf, or it is cut"):
        open_checkpoint(path)


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "fit.ckpt"
    put(path, ("flow", DOCUMENT, ARRAYS))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1  # in the arrays' data
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="its content is not what its SHA-256 says"):
        open_checkpoint(path)


#: Of each version of the format: written by the code of its time, 1 by the first commit's.
FINGERPRINTS = {
    1: "90fa6ac7c155c216dc7e66e6bf69849f13e3a4607a3eaa5ca2987e719fdcc381",
    2: "d2c485b5cd23ad96fa564caf1b24a7dff380e5c7ca033e38196b95755f777b52",
    3: "d2c485b5cd23ad96fa564caf1b24a7dff380e5c7ca033e38196b95755f777b52",
}


@pytest.mark.parametrize("version", FINGERPRINTS)
def test_checkpoints_of_every_version_are_read(tmp_path, version):
    path = shutil.copy(Path(__file__).parent / "files" / f"version_{version}.ckpt", tmp_path)
    with pytest.raises(ValueError, match="belongs to another fit"):
        open_checkpoint(path)
    with open_checkpoint(path, fingerprint=FINGERPRINTS[version]) as opened:
        assert opened.get("flow").document["progress"]["step"] == 3
        assert opened.get("flow").arrays["losses"].shape == (3,)
        assert opened.get("refit target").document["progress"]["step"] == 2


def test_a_missing_folder_is_noticed_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_checkpoint(tmp_path / "nowhere" / "fit.ckpt")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_folder_is_noticed_at_once(tmp_path, monkeypatch, exists):
    path = tmp_path / "fit.ckpt"
    if exists:
        put(path, ("flow", DOCUMENT, ARRAYS))
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(PermissionError, match="read-only"):
        open_checkpoint(path)


def make():
    pair = lrmf.data.blobs(n=80, seed=1)
    model = lrmf.LRMF(
        transform=lrmf.Affine(),
        density=lrmf.RealNVP(blocks=2, hidden=(8,)),
        steps=600,
        private_steps=300,
        refit_steps=300,
        batch_size=32,
        learning_rate=1e-2,
        validation_fraction=0.2,
        patience=5000,
        snapshot_every=200,
        checkpoint_every=200,
        progress=False,
    )
    return model, pair


def fit_and_die(path, writes):
    """Fit, until the second chunk of steps after so many checkpoints, over all stages."""
    counts = {"put": 0, "chunk": 0}
    put, make_trainer = Checkpoint.put, type(lrmf.get_backend("jax")).trainer

    def counting_put(*arguments):
        put(*arguments)
        counts["put"] += 1

    def trainer(*arguments, **options):
        made = make_trainer(*arguments, **options)
        run = made.run

        def lethal_run(*arguments):
            counts["chunk"] += counts["put"] >= writes
            if counts["chunk"] == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return run(*arguments)

        made.run = lethal_run
        return made

    Checkpoint.put = counting_put
    type(lrmf.get_backend("jax")).trainer = trainer
    model, pair = make()
    model.fit(Xs=pair.source, Xt=pair.target, checkpoint=path)


def everything(model, pair):
    """All that a fit leaves behind, save the time it took."""
    models = {
        name: getattr(model, name).arrays
        for name in (
            "transform_", "density_", "private_source_", "private_target_",
            "refitted_source_", "refitted_target_",
        )
    }  # fmt: skip
    snapshots = [(step, flow.arrays, density.arrays) for step, flow, density in model.snapshots_]
    facts = (model.constant_, model.status_, model.outcome_, model.n_steps_, model.complete_)
    return (
        models,
        snapshots,
        model.history_,
        facts,
        model.family_certificate(pair.source, pair.target),
    )


@pytest.fixture(scope="module")
def uninterrupted():
    model, pair = make()
    model.fit(Xs=pair.source, Xt=pair.target)
    assert model.outcome_ == "finished"
    return everything(model, pair)


# During the first stages, which run side by side, and during the refits. When is up to code that
# both backends share, and tests/aligners/test_stopping.py resumes the other's.
@pytest.mark.parametrize("writes", [2, 9])
def test_a_killed_fit_resumes_to_the_same_bits(uninterrupted, tmp_path, writes):
    path = tmp_path / "fit.ckpt"
    here = Path(__file__)
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import {here.stem}; {here.stem}.fit_and_die({str(path)!r}, {writes})",
        ],
        env=os.environ | {"PYTHONPATH": f"{here.parents[1]}{os.pathsep}{here.parent}"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    model, pair = make()
    model.fit(Xs=pair.source, Xt=pair.target, checkpoint=path)
    np.testing.assert_equal(everything(model, pair), uninterrupted)
    # The lock that the kill left behind, and a draft if it came during a write, are gone.
    assert os.listdir(tmp_path) == ["fit.ckpt"]


def test_the_comparison_of_fits_sees_a_last_bit(uninterrupted):
    models, *rest = expected = uninterrupted
    shift = models["transform_"]["shift"]
    changed = models | {"transform_": models["transform_"] | {"shift": np.nextafter(shift, 9)}}
    with pytest.raises(AssertionError):
        np.testing.assert_equal((changed, *rest), expected)
