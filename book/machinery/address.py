"""Put the repository's address into ``_config.yml``: the one place that knows it.

    python -m book.machinery.address https://github.com/someone/lrmf --branch published

The publishing workflow runs this before it writes the notebooks.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from book.machinery.config import ROOT, Book, BookError

__all__ = ["PAGES", "main", "set_address"]

#: Pages whose install lines a reader copies as they are.
PAGES = ("book/intro.md", "book/library/install.md")

_URL = re.compile(r"https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


def set_address(url: str, branch: str, root: Path = ROOT) -> None:
    """Write address and branch into the configuration below ``root``, and into install lines.

    Raises:
        BookError: the address is not that of a repository on GitHub.
    """
    if not _URL.fullmatch(url):
        raise BookError(f"expected https://github.com/owner/repository, got {url}")
    path = root / "_config.yml"
    old = Book.read(root)
    text = path.read_text(encoding="utf8")
    text = text.replace(f"  url: {old.url}\n", f"  url: {url}\n", 1)
    text = text.replace(f"  branch: {old.branch}\n", f"  branch: {branch}\n", 1)
    path.write_text(text, encoding="utf8")
    for page in (root / name for name in PAGES if (root / name).is_file()):
        written = page.read_text(encoding="utf8")
        page.write_text(written.replace(f"git+{old.url}", f"git+{url}"), encoding="utf8")
    new = Book.read(root)
    if (new.url, new.branch) != (url, branch):
        raise BookError("_config.yml does not give url and branch on lines of their own")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Put the repository's address into _config.yml.")
    parser.add_argument("url")
    parser.add_argument("--branch", default="main")
    options = parser.parse_args(arguments)
    set_address(options.url.rstrip("/"), options.branch)


if __name__ == "__main__":
    main()
