"""Run the example of ``README.md`` and draw its picture: ``make picture``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from book.machinery.config import ROOT, BookError

__all__ = ["draw", "main", "run_example"]

PICTURE = Path("book/_static/moons.png")


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


def main() -> None:
    """Run the command."""
    draw(run_example(), ROOT / PICTURE)
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
