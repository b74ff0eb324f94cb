"""Where lines of a page may break: messages do, measured values in tables do not.

A message that a cell prints, such as a verdict with its cure, is one long line; it wraps, while a
table of numbers keeps its columns and scrolls. And in a table no line ends within ``0.93 ± 0.01``.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

__all__ = ["LONGEST", "setup"]

LONGEST = 100  # characters; what is longer was not laid out in columns by hand


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    # Late: outputs of cells take their places in the page only before this.
    app.connect("doctree-resolved", set_breaks, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_breaks(app: Any, doctree: nodes.document, page: str) -> None:
    """Mark printed messages for the style sheet, and bind values to their errors."""
    for block in doctree.findall(nodes.literal_block):
        if any(len(line) > LONGEST for line in block.astext().splitlines()):
            block["classes"].append("message")
    for entry in doctree.findall(nodes.entry):
        for text in list(entry.findall(nodes.Text)):
            if " ± " in text:
                text.parent.replace(
                    text, nodes.Text(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"))
                )
