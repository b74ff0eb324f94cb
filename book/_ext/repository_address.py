"""The repository's address in install lines, from the one place that knows it: _config.yml.

A page says ``@REPOSITORY@``, in code as well, where no substitution of MyST reaches.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MARK", "setup"]

MARK = "@REPOSITORY@"


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("source-read", _put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _put_in(app: Any, page: str, source: list[str]) -> None:
    if MARK in source[0]:
        url = app.config.html_theme_options["repository_url"]
        source[0] = source[0].replace(MARK, url.rstrip("/"))
