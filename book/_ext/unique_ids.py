"""Every id of a page once: extensions give the same one to all proofs, or to all solutions."""

from __future__ import annotations

from typing import Any

from docutils import nodes

__all__ = ["drop_repeated", "setup"]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("doctree-resolved", drop_repeated, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_repeated(app: Any, doctree: nodes.document, page: str) -> None:
    """Leave an id to the first element that has it: that is where links lead anyway."""
    seen: set[str] = set()
    for element in doctree.findall(nodes.Element):
        if ids := element.get("ids"):
            element["ids"] = [name for name in ids if name not in seen]
            seen.update(ids)
