"""Results of computations too long for a chapter; they are installed with the library.

A notebook that was opened on its own has no folder ``book`` beside it, so chapters ask for their
results here.
"""

from pathlib import Path

__all__ = ["saved_results"]

_PACKAGE = Path(__file__).parents[1]
# An installed wheel holds a copy; in a checkout the chapters' own folder is the place.
_PLACES = (_PACKAGE.parent / "book" / "results", _PACKAGE / "_results")


def saved_results(chapter: str) -> Path:
    """Return the folder with the saved results of a chapter of the book.

    Args:
        chapter: the chapter's file name without its ending, for example ``"realnvp"``.

    Raises ``ValueError`` if there are no results of this name.

    >>> import lrmf
    >>> sorted(path.name for path in lrmf.data.saved_results("realnvp").glob("*.json"))
    ['runs.json']
    """
    for place in _PLACES:
        if chapter in _names(place):
            return place / chapter
    known = sorted({name for place in _PLACES for name in _names(place)})
    raise ValueError(
        f"no saved results {chapter!r}; there are: {', '.join(known) or 'none at all'}"
    )


def _names(place: Path) -> list[str]:
    return [path.name for path in place.iterdir() if path.is_dir()] if place.is_dir() else []
