"""Files that are damaged: models and checkpoints, read as they are or refused, nothing between."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from outcomes import COUNTS, Fault

import lrmf
from lrmf import storage

ARRAYS = {"map": np.arange(6.0), "density/weight": np.eye(3, dtype=np.float32)}
MANY = settings(max_examples=settings().max_examples * 4)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A model's file and a checkpoint's, what reads each, and what it must say."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    lrmf.GaussianOT().fit(Xs=rng.normal(size=(9, 2)), Xt=rng.normal(size=(8, 2)) + 3).save(
        folder / "model"
    )
    storage.write(
        folder / "checkpoint", ARRAYS, {"kind": "checkpoint", "stages": {"flow": {"step": 3}}}
    )
    readers = {
        "model": lambda: lrmf.GaussianOT.load(folder / "model"),
        "checkpoint": lambda: storage.read(folder / "checkpoint", "checkpoint"),
    }
    return {name: (folder / name, (folder / name).read_bytes(), readers[name]) for name in readers}


@pytest.mark.parametrize("name", ["model", "checkpoint"])
@MANY
@given(data=st.data())
def test_damage_is_refused(sound, name, data):
    path, content, read = sound[name]
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, max(0, len(damaged) - 1)))
        kind = data.draw(st.sampled_from(("flip", "flip", "cut", "drop", "repeat", "overwrite")))
        if kind == "flip" and damaged:
            damaged[start] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del damaged[start:]
        elif kind == "drop":
            del damaged[start : start + data.draw(st.integers(1, 40))]
        elif kind == "repeat":
            damaged[start:start] = damaged[start : start + data.draw(st.integers(1, 40))]
        else:
            stuff = data.draw(st.binary(min_size=1, max_size=20))
            damaged[start : start + len(stuff)] = stuff
    path.write_bytes(damaged)
    subject = f"damaged {name}"
    try:
        read()
    except ValueError as error:
        if str(path) not in str(error) or len(str(error).split()) < 5:
            COUNTS[subject, "FAULT"] += 1
            raise Fault(f"{subject}: {error}") from error
        COUNTS[subject, "ValueError"] += 1
        return
    if damaged != content:
        COUNTS[subject, "FAULT"] += 1
        raise Fault(f"{subject}: read without a word")
    COUNTS[subject, "result"] += 1
