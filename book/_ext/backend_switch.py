"""One switch for the whole page between the cells of the two backends.

Cells with the tag ``backend-jax`` or ``backend-tfp`` get an address and the backend's name; the
page gets a switch below its title, and beside it what the cell with the tag ``backend-agreement``
printed last. Both kinds of cell stand in the page: without scripts, and on paper, both are shown.

Tabs of sphinx-design would not do: a code cell inside a directive is not executed, they show the
first tab until the page has loaded, one tab only on paper, and do not follow the reader's choice
in another window.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging

__all__ = ["NAMES", "headline", "setup", "switch_html"]

NAMES = {"jax": "JAX", "tfp": "TensorFlow Probability"}
AGREEMENT = "backend-agreement"
LONGEST = 90  # characters of the sentence beside the switch

SCRIPT = Path(__file__).parents[1] / "_static" / "backend_switch.js"
logger = logging.getLogger(__name__)


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    # Not earlier: myst-nb folds inputs before, and expects nothing but input and output in a cell.
    app.connect("doctree-resolved", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_switch(app: Any, doctree: nodes.document, page: str) -> None:
    """Name the tagged cells of a page and put the switch below its title."""
    cells = [
        (cell, backend)
        for cell in doctree.findall(nodes.container)
        for backend in NAMES
        if f"tag_backend-{backend}" in cell["classes"]
    ]
    if not cells:
        return
    count: Counter[str] = Counter()
    for cell, backend in cells:
        count[backend] += 1
        # What another window, a search or a printed link may lead to.
        cell["ids"].append(f"backend-{backend}-{count[backend]}")
        cell.insert(0, nodes.paragraph("", NAMES[backend], classes=["backend-name"]))
    measured = [
        cell for cell in doctree.findall(nodes.container) if f"tag_{AGREEMENT}" in cell["classes"]
    ]
    for cell in measured[:1]:
        cell["ids"].append(AGREEMENT)
    try:
        sentence = headline([_printed(cell) for cell in measured])
    except ValueError as error:
        logger.warning("%s", error, location=page, type="backends")
        sentence = ""
    title = next(doctree.findall(nodes.title))
    below = title.parent.index(title) + 1
    script = SCRIPT.read_text(encoding="utf8")
    title.parent.insert(below, nodes.raw("", switch_html(sentence, script), format="html"))


def headline(printed: list[str]) -> str:
    """Return the sentence that goes beside the switch: the last line that the cell printed.

    Args:
        printed: The output of each cell of the page with the tag.

    Raises:
        ValueError: Where the page has not exactly one such cell, or where its last line holds no
            number or is too long.
    """
    if len(printed) != 1:
        raise ValueError(
            f"a page with cells for both backends needs one cell with the tag {AGREEMENT}, which "
            f"prints how far they differ; this one has {len(printed)}"
        )
    line = (printed[0].strip().splitlines() or [""])[-1].strip()
    if not re.search(r"\d", line) or len(line) > LONGEST:
        raise ValueError(
            f"the cell with the tag {AGREEMENT} must print, in its last line, a sentence with a "
            f"number and at most {LONGEST} characters, not {line!r}"
        )
    return line


def switch_html(sentence: str, script: str) -> str:
    """Return the switch, the sentence beside it, and the script that belongs to both.

    The script stands in the page itself, before the first cell: it decides what is shown before
    anything is drawn, and no cell appears only to vanish.
    """
    # Browsers would otherwise restore, on a reload, what was ticked when the reader left.
    buttons = "".join(
        f'<label><input type="radio" name="lrmf-backend" value="{backend}" autocomplete="off">'
        f'<span title="{name}">{"TFP" if backend == "tfp" else name}</span></label>'
        for backend, name in NAMES.items()
    )
    number = re.sub(r"\b(\d(?:\.\d+)?)e([+-]?)0*(\d+)", _power_of_ten, html.escape(sentence))
    agreement = f'<p class="lrmf-agreement"><a href="#{AGREEMENT}">{number}</a></p>'
    return (
        f'<fieldset class="lrmf-backends"><legend>Show code in</legend>{buttons}</fieldset>\n'
        f"{agreement if sentence else ''}\n<script>\n{script}</script>\n"
    )


def _power_of_ten(match: re.Match[str]) -> str:
    power = f"10<sup>{'−' if match[2] == '-' else ''}{match[3]}</sup>"
    return power if match[1] == "1" else f"{match[1]}&nbsp;·&nbsp;{power}"


def _printed(cell: nodes.container) -> str:
    outputs = [part for part in cell.children if "cell_output" in part.get("classes", [])]
    return "\n".join(part.astext() for part in outputs)
