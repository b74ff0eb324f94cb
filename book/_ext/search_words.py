"""The page's search finds what people type: names, words that no title has, either spelling.

Sphinx asks for every word of a query on one page, so that *how do I install* finds nothing; it
takes *minimising* and *minimizing* for two words; and of things that carry a name it shows the
methods first, by the alphabet. ``search_scorer.js`` mends the query and the ranks in the browser;
here the index gets one spelling, and the words of `WORDS`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.search.en import SearchEnglish

__all__ = ["SPELLINGS", "WORDS", "OneSpelling", "one_spelling", "setup"]

_INTERFACE = tuple(f"book/library/interface/{n}" for n in ("aligners", "models", "judge", "data"))
#: What is typed, and the places that are meant: pages, or anchors on them.
WORDS: dict[str, tuple[str, ...]] = {
    "API": _INTERFACE,
    "API reference": _INTERFACE,
    "interface": _INTERFACE,
    "tutorial": ("book/library/quick_start",),
    "getting started": ("book/library/quick_start",),
    "command line": ("book/library/judge_files",),
    "hyperparameters": ("book/library/guide#sec-guide-search",),
    "d_Lambda": ("book/likelihood_ratio/distance#def-lrd", "book/appendix/notation"),
    "d_Λ": ("book/likelihood_ratio/distance#def-lrd", "book/appendix/notation"),
}
#: Endings of British spelling, and what stands for them in the index; the script has the same.
SPELLINGS = (
    (re.compile(r"([iy])s(e|ed|es|er|ers|ing|ation|ations|able)$"), r"\1z\2"),
    (re.compile(r"(?<=\w{3})our(s|ed|ing|al|hood|hoods)?$"), r"or\1"),
    (re.compile(r"ll(ed|ing|er|ers)$"), r"l\1"),
)


def one_spelling(word: str) -> str:
    """A word as an American would spell it, roughly; the same for words that are alike.

    >>> [one_spelling(word) for word in ("minimising", "colour", "modelled", "four")]
    ['minimizing', 'color', 'modeled', 'four']
    """
    for pattern, replacement in SPELLINGS:
        word = pattern.sub(replacement, word)
    return word


class OneSpelling(SearchEnglish):
    """Words of the index in one spelling, before their endings go."""

    def stem(self, word: str) -> str:
        return super().stem(one_spelling(word.lower()))


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.add_search_language(OneSpelling)
    app.connect("config-inited", _scorer)
    app.connect("doctree-read", _add_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _scorer(app: Any, config: Any) -> None:
    config.html_search_scorer = str(Path(__file__).parents[1] / "_static" / "search_scorer.js")


def _add_words(app: Any, document: nodes.document) -> None:
    entries = [
        ("single", word, anchor, "main", None)
        for word, places in WORDS.items()
        for page, _, anchor in (place.partition("#") for place in places)
        if page == app.env.docname
    ]
    if entries:
        document += addnodes.index(entries=entries)
