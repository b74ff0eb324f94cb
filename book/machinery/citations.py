"""Citations by author and year, as the book's pages show them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.plugin import find_plugin

from book.machinery.config import BookError

__all__ = ["Citations"]


class Citations:
    """The entries of the bibliography files."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._data = BibliographyData()
        for file in files:
            self._data.add_entries(parse_file(str(file), bib_format="bibtex").entries.items())

    def __getitem__(self, key: str) -> Entry:
        if key not in self._data.entries:
            raise BookError(f"the bibliography has no entry '{key}'")
        return self._data.entries[key]

    def authors(self, key: str) -> str:
        """Return the surnames: one, two, or the first with et al."""
        entry = self[key]
        persons = entry.persons.get("author") or entry.persons.get("editor", [])
        names = [
            _plain(" ".join((*person.prelast_names, *person.last_names))) for person in persons
        ]
        if not names:
            raise BookError(f"the entry '{key}' has no author")
        if len(names) > 2:
            return f"{names[0]} et al."
        return " and ".join(names)

    def parenthetical(self, keys: Iterable[str]) -> str:
        """Return for example [Dinh et al., 2017, Usman et al., 2020]."""
        return "[" + ", ".join(f"{self.authors(key)}, {self._year(key)}" for key in keys) + "]"

    def textual(self, keys: Iterable[str]) -> str:
        """Return for example Usman et al. [2020]."""
        return ", ".join(f"{self.authors(key)} [{self._year(key)}]" for key in keys)

    def reference_list(self, keys: Iterable[str]) -> str:
        """Return a Markdown list of the entries, ordered by author and year."""
        style = find_plugin("pybtex.style.formatting", "unsrt")()
        backend = find_plugin("pybtex.backends", "markdown")()
        ordered = sorted(set(keys), key=lambda key: (self.authors(key), self._year(key), key))
        entries = style.format_entries([self[key] for key in ordered])
        return "\n".join(f"* {entry.text.render(backend)}" for entry in entries)

    def _year(self, key: str) -> str:
        return str(self[key].fields["year"])


def _plain(text: str) -> str:
    """Write TeX accents out and drop protecting braces."""
    from pybtex.richtext import Text

    return str(Text.from_latex(text))
