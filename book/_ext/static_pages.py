"""What the build must know about pages that have no kernel behind them.

Nobody can move a slider there: a widget would need a kernel, and scripts from another host. So the
kernels of the build are told to show the picture alone. And Thebe, which Jupyter Book loads to run
cells on a public server, has nothing to do: its scripts only report errors. MathJax starts with the
parts that _config.yml lists, in place of a bundle of all. And the single page that is printed knows
all kinds of nodes that pages know.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    os.environ["LRMF_STATIC_WIDGETS"] = "1"
    app.connect("config-inited", _without_thebe)
    app.connect("config-inited", _mathjax_in_parts)
    app.connect("builder-inited", _nodes_of_one_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _without_thebe(app: Any, config: Any) -> None:
    """Drop the scripts that Thebe wants to add later; its style sheet may stay."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__.partition(".")[0] == "sphinx_thebe":
                app.disconnect(listener.id)


def _mathjax_in_parts(app: Any, config: Any) -> None:
    config.mathjax_path = "mathjax/startup.js"


def _nodes_of_one_page(app: Any) -> None:
    """Sphinx forgets who writes a node for pages once any extension names the single page."""
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = {**handlers.get("html", {}), **handlers.get("singlehtml", {})}
