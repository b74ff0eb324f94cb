"""Every id of a page once: extensions give the same one to all proofs, or to all solutions."""

from __future__ import annotations

from typing import Any

from docutils import nodes

__all__ = ["drop_repeated", "setup"]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("doctree-resolved", _resolved, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_repeated(doctree: nodes.Element, *, sections: bool = True) -> None:
    """Leave an id to the first element that has it: that is where links lead anyway.

    Args:
        doctree: changed in place.
        sections: whether those of sections go, too.
    """
    seen: set[str] = set()
    for element in doctree.findall(nodes.Element):
        if isinstance(element, nodes.section) and not sections:
            continue
        if ids := element.get("ids"):
            element["ids"] = [name for name in ids if name not in seen]
            seen.update(ids)


def _resolved(app: Any, doctree: nodes.document, page: str) -> None:
    # On the one page that is printed, Sphinx looks up the sections' numbers by their ids.
    drop_repeated(doctree, sections=app.builder.name != "singlehtml")
