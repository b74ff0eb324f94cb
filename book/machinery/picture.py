"""Run the example of ``README.md`` and draw its picture, still and moving: ``make picture``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from book.machinery.config import ROOT, BookError

__all__ = ["draw", "main", "move", "run_example"]

PICTURE = Path("book/_static/moons.png")
MOVING = Path("book/_static/moons.webp")
#: Frames, and milliseconds of each: it moves once, for less than five seconds, and stays.
FRAMES, PACE = 24, 180


def run_example(root: Path = ROOT) -> dict[str, Any]:
    """Run the first Python block of the README and return its variables."""
    text = (root / "README.md").read_text(encoding="utf8")
    match = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise BookError("README.md has no block of Python code")
    names: dict[str, Any] = {}
    exec(compile(match[1], "README.md", "exec"), names)
    return names


def draw(names: dict[str, Any], path: Path) -> None:
    """Draw the example's data before and after, and write the picture."""
    import matplotlib.pyplot as plt

    from lrmf import plots

    test, moved = names["test"], names["moved"]
    with plots.style():
        figure, (before, after) = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True, sharey=True)
        plots.scatter(before, source=test.source[::3], target=test.target[::3], size=8)
        plots.scatter(after, transformed=moved[::3], target=test.target[::3], size=8)
        before.set_title("before")
        after.set_title("after")
        for axes in (before, after):
            axes.set_aspect("equal")
            axes.legend(loc="upper right", markerscale=2)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def move(names: dict[str, Any], path: Path) -> None:
    """Fit the example once more, and write where the source is as training goes on."""
    import io

    import matplotlib.pyplot as plt
    from PIL import Image

    from lrmf import plots

    train, test = names["train"], names["test"]
    model = names["model"].set_params(snapshot_every=names["model"].steps // 160, progress=False)
    model.fit(Xs=train.source, Xt=train.target)
    # Most happens early: the frames are dense there.
    last = len(model.snapshots_) - 1
    chosen = sorted({round(last * (k / (FRAMES - 1)) ** 2) for k in range(FRAMES)})
    frames = []
    for k in chosen:
        step, flow, _ = model.snapshots_[k]
        moved = flow.forward(test.source[::3])[0]
        with plots.style():
            figure, ax = plt.subplots(figsize=(5.6, 3.2))
            plots.scatter(ax, transformed=moved, target=test.target[::3], size=8)
            ax.set(xlim=(-1.8, 2.8), ylim=(-1.5, 2.0), aspect="equal", title=f"step {step:,}")
            ax.legend(loc="upper right", markerscale=2)
            with io.BytesIO() as drawn:
                figure.savefig(drawn, dpi=100)
                frames.append(Image.open(drawn).convert("RGB"))
            plt.close(figure)
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=PACE, loop=1, quality=55, method=6
    )


def main() -> None:
    """Run the command."""
    names = run_example()
    draw(names, ROOT / PICTURE)
    move(names, ROOT / MOVING)
    print(f"wrote {PICTURE} and {MOVING}")


if __name__ == "__main__":
    main()
