"""A name of the library in a code cell leads to its entry in the interface.

``lrmf.LRMF``, and ``plots.scatter`` after ``from lrmf import plots``: names are resolved as Python
would, by the imports of the page, and looked up among what autodoc has documented.
sphinx-codeautolink does this for more, and stops at some of our chapters.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["aliases", "linked", "setup"]

_BLOCK = re.compile(r'<div class="highlight-(?:ipython3?|python3?|default)[^>]*>.*?</pre>', re.S)
_TAG = re.compile(r"<[^>]+>")
_IMPORT = re.compile(r"^\s*from (lrmf(?:\.\w+)*) import (\w+(?:, \w+)*)", re.M)
# Pygments puts each name and each dot into a span of its own.
_NAME, _DOT = r'<span class="n">\w+</span>', '<span class="o">.</span>'
_PATH = re.compile(rf"{_NAME}(?:{re.escape(_DOT)}{_NAME})*")


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("html-page-context", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def aliases(code: str) -> dict[str, str]:
    r"""What the imports of a page call parts of the library, with their full names.

    >>> aliases("import lrmf\nfrom lrmf import plots\nfrom lrmf.data import Pair, moons")
    {'lrmf': 'lrmf', 'plots': 'lrmf.plots', 'Pair': 'lrmf.data.Pair', 'moons': 'lrmf.data.moons'}
    """
    found = {"lrmf": "lrmf"}
    for module, names in _IMPORT.findall(code):
        found |= {name: f"{module}.{name}" for name in names.split(", ")}
    return found


def linked(body: str, uri: Callable[[str], str | None]) -> str:
    """The body of a page with links in its code.

    Args:
        body: HTML.
        uri: where a full name is documented, None where it is not.
    """
    code = "\n".join(html.unescape(_TAG.sub("", block)) for block in _BLOCK.findall(body))
    known = aliases(code)

    def path(match: re.Match[str]) -> str:
        return _with_link(match[0], known, uri)

    return _BLOCK.sub(lambda block: _PATH.sub(path, block[0]), body)


def _with_link(spans: str, known: Mapping[str, str], uri: Callable[[str], str | None]) -> str:
    parts = spans.split(_DOT)
    names = [_TAG.sub("", part) for part in parts]
    if names[0] not in known:
        return spans
    for length in range(len(names), 0, -1):  # the longest that is documented
        full = ".".join([known[names[0]], *names[1:length]])
        if target := uri(full):
            inside, rest = _DOT.join(parts[:length]), "".join(_DOT + p for p in parts[length:])
            start = f'<a class="lrmf-code" href="{html.escape(target)}" title="{full}">'
            return f"{start}{inside}</a>{rest}"
    return spans


def _link(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if "body" not in context:
        return
    objects = app.env.get_domain("py").objects

    def uri(name: str) -> str | None:
        found = objects.get(name)
        if found is None:
            return None
        return f"{app.builder.get_relative_uri(page, found.docname)}#{found.node_id}"

    context["body"] = linked(context["body"], uri)
