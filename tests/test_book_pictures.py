"""Pictures of built pages: lighter, and the same to the eye."""

import io
import runpy
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from book.machinery.config import ROOT

extension = runpy.run_path(str(ROOT / "book" / "_ext" / "light_pictures.py"))
lighten = extension["lighten"]


def figure(**options):
    fig, ax = plt.subplots(figsize=(5, 3))
    rng = np.random.default_rng(0)
    for color in ("#0077BB", "#CC3311"):
        ax.scatter(*rng.normal(size=(2, 300)), s=8, color=color, alpha=0.7)
    ax.plot(0, 0, "*", color="#EE7733", markersize=14)
    written = io.BytesIO()
    fig.savefig(written, dpi=80, **options)
    plt.close(fig)
    return written.getvalue()


def png(pixels):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "png")
    return written.getvalue()


def colours(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)


def test_figure_becomes_lighter_and_stays_the_same():
    before = figure()
    after = lighten(before)
    assert len(after) < 0.5 * len(before)
    assert np.abs(colours(after) - colours(before)).max() <= extension["TOLERANCE"]
    assert lighten(after) is after


def test_picture_with_too_many_colours_stays_as_it_is():
    rng = np.random.default_rng(0)
    photograph = png(rng.integers(0, 256, size=(200, 200, 3), dtype=np.uint8))
    assert lighten(photograph) is photograph


def test_transparent_picture_stays_as_it_is():
    see_through = figure(transparent=True)
    assert lighten(see_through) is see_through


def test_grey_picture_stays_as_it_is():
    grey = png(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert lighten(grey) is grey


@pytest.mark.parametrize(
    ("error", "kind", "changed"),
    [(None, "html", True), (ValueError(), "html", False), (None, "latex", False)],
)
def test_pictures_of_finished_pages_are_made_lighter(tmp_path, error, kind, changed):
    (tmp_path / "_images").mkdir()
    path = tmp_path / "_images" / "one.png"
    path.write_bytes(figure())
    before = path.stat().st_size
    builder = SimpleNamespace(format=kind, imagedir="_images")
    found = []
    app = SimpleNamespace(
        outdir=tmp_path, builder=builder, connect=lambda *connected: found.append(connected)
    )
    extension["setup"](app)
    ((event, handler),) = found
    assert event == "build-finished"
    handler(app, error)
    assert (path.stat().st_size < before) is changed
