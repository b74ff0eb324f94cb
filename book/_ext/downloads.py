"""A chapter's notebook to download, and the book's PDF where one is made.

The theme's own button would lead to the sources, which hold the solutions. `make pdf` sets
``LRMF_PDF`` and lays the PDF beside the pages; without it no page promises one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

__all__ = ["PDF", "buttons", "setup"]

PDF = "lrmf.pdf"


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.add_config_value("book_has_pdf", "LRMF_PDF" in os.environ, "html")
    app.connect("html-page-context", _add, priority=600)  # after the theme's own
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def buttons(page: str, *, notebook: bool, pdf: str | None) -> list[dict[str, Any]]:
    """The menu of what can be downloaded from a page, as the theme takes it; empty without any.

    >>> buttons("book/a/b", notebook=False, pdf=None)
    []
    """
    found = []
    if notebook:
        found.append((f"{page.rpartition('/')[2]}.ipynb", "Notebook", "fas fa-code"))
    if pdf:
        found.append((pdf, "Book as PDF", "fas fa-file-pdf"))
    links = [
        {"type": "link", "url": url, "text": text, "icon": icon, "label": "download"}
        for url, text, icon in found
    ]
    menu = {
        "type": "group",
        "tooltip": "Download",
        "icon": "fas fa-download",
        "label": "download-buttons",
        "buttons": links,
    }
    return [menu] if links else []


def _notebook(app: Any, page: str) -> Path:
    return Path(app.srcdir) / f"{page}.ipynb"


def _add(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is None or "header_buttons" not in context:
        return
    pdf = context["pathto"](PDF, 1) if app.config.book_has_pdf else None
    found = buttons(page, notebook=_notebook(app, page).exists(), pdf=pdf)
    context["header_buttons"][:0] = found


def _copy(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    for page in app.env.found_docs:
        if (source := _notebook(app, page)).exists():
            shutil.copyfile(source, Path(app.outdir) / f"{page}.ipynb")
