"""Pictures of a built page with at most 256 colours: a third of the bytes, the same picture.

matplotlib writes four bytes a pixel, and a figure of dots and lines has a few hundred colours, most
of them from smoothed edges. A picture whose colours would change visibly stays as it is.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["lighten", "setup"]

# The largest change of a channel, of 255: less than two neighbouring shades of a density differ.
TOLERANCE = 16


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("build-finished", _lighten_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lighten(picture: bytes) -> bytes:
    """Return the PNG with a palette where that is smaller and looks the same, or as it is."""
    with Image.open(io.BytesIO(picture)) as opened:
        if opened.mode not in ("RGB", "RGBA"):
            return picture
        if opened.mode == "RGBA" and opened.getextrema()[3] != (255, 255):
            return picture
        full = opened.convert("RGB")
    few = full.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    change = np.abs(np.asarray(few.convert("RGB"), int) - np.asarray(full, int))
    written = io.BytesIO()
    few.save(written, "png", optimize=True)
    smaller = written.tell() < len(picture)
    return written.getvalue() if smaller and change.max() <= TOLERANCE else picture


def _lighten_all(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for path in sorted((Path(app.outdir) / app.builder.imagedir).glob("*.png")):
        before = path.read_bytes()
        after = lighten(before)
        if after is not before:
            path.write_bytes(after)
