"""Pages with training animations load the player's script and style once, and no other page does.

In a notebook each player brings them along. The kernels of the build are told to leave them out.
"""

from __future__ import annotations

import os
from typing import Any

from lrmf.player.page import SCRIPTS, STATIC, STYLE
from lrmf.player.turntable import SCRIPT as TURNTABLE

__all__ = ["setup"]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    os.environ["LRMF_PLAYER_ON_PAGE"] = "1"
    app.connect("config-inited", _offer_files)
    app.connect("html-page-context", _load_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offer_files(app: Any, config: Any) -> None:
    config.html_static_path.append(str(STATIC))


def _load_files(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if 'class="lrmf-player"' in context.get("body", ""):
        app.add_css_file(STYLE)
        turns = (TURNTABLE,) if " data-meshes=" in context["body"] else ()
        for name in (*SCRIPTS, *turns):
            app.add_js_file(name, loading_method="defer")
