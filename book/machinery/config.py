"""What ``_config.yml`` and ``_toc.yml`` say about the book."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "Book", "BookError", "Page", "digest"]

ROOT = Path(__file__).resolve().parents[2]


class BookError(ValueError):
    """Something in the book's sources that the notebooks cannot express."""


@dataclass(frozen=True)
class Page:
    """One entry of the table of contents.

    ``name`` is the path without its suffix, as in ``_toc.yml``; ``number`` is the chapter's number
    and None for a page outside the numbered parts.
    """

    name: str
    source: Path
    number: int | None

    @property
    def notebook(self) -> Path:
        """Where the notebook generated from this page lies, if the page is one."""
        return self.source.with_suffix(".ipynb")

    @property
    def is_notebook(self) -> bool:
        """Whether the page has code cells: its head then names a kernel."""
        text = self.source.read_text(encoding="utf8")
        if not text.startswith("---\n"):
            return False
        head = yaml.safe_load(text.split("\n---\n", 1)[0].removeprefix("---\n"))
        return "kernelspec" in (head or {})


@dataclass(frozen=True)
class Book:
    """The settings that the notebooks need, read from the folder ``root``."""

    root: Path
    url: str
    branch: str
    extensions: tuple[str, ...]
    bibliographies: tuple[Path, ...]
    macros: dict[str, tuple[str, int]] = field(hash=False)
    pages: tuple[Page, ...] = ()

    @classmethod
    def read(cls, root: Path = ROOT) -> Book:
        """Read both files; raises BookError where they do not fit together."""
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
        contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
        tex = config["sphinx"]["config"]["mathjax3_config"]["tex"]
        return cls(
            root=root,
            url=config["repository"]["url"].rstrip("/"),
            branch=config["repository"]["branch"],
            extensions=tuple(config["parse"]["myst_enable_extensions"]),
            bibliographies=tuple(root / name for name in config["bibtex_bibfiles"]),
            macros={name: _macro(value) for name, value in tex["macros"].items()},
            pages=tuple(_pages(root, contents)),
        )

    @property
    def requirement_source(self) -> str:
        """Where pip finds the library, for the install cells."""
        return f"git+{self.url}@{self.branch}"

    def colab(self, page: Page) -> str:
        """Return the address that opens the page's notebook in Colab."""
        repository = self.url.removeprefix("https://github.com/")
        path = page.notebook.relative_to(self.root).as_posix()
        return f"https://colab.research.google.com/github/{repository}/blob/{self.branch}/{path}"


def digest(folder: Path, patterns: Iterable[str]) -> str:
    """Return a hash of the files below ``folder`` that match the patterns: names and contents."""
    total = hashlib.sha256()
    for path in sorted({found for pattern in patterns for found in folder.glob(pattern)}):
        if path.is_file():
            total.update(path.relative_to(folder).as_posix().encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _macro(value: str | list[Any]) -> tuple[str, int]:
    """Bring both forms that MathJax allows, text or [text, arguments], to one."""
    if isinstance(value, str):
        return value, 0
    return str(value[0]), int(value[1])


def _pages(root: Path, contents: dict[str, Any]) -> Iterable[Page]:
    """Yield the pages in the order of the book, numbered as Sphinx numbers them."""
    yield _page(root, contents["root"], None)
    number = 0
    for part in contents["parts"]:
        for entry in part["chapters"]:
            if "sections" in entry:
                raise BookError(
                    f"_toc.yml: {entry['file']} has pages below it, which the numbering of the "
                    "notebooks does not follow; list them as chapters of the part"
                )
            numbered = part.get("numbered", False)
            number += bool(numbered)
            yield _page(root, entry["file"], number if numbered else None)


def _page(root: Path, name: str, number: int | None) -> Page:
    source = root / f"{name}.md"
    if not source.is_file():
        raise BookError(f"_toc.yml lists {name}, but there is no file {name}.md")
    return Page(name, source, number)
