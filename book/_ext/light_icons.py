"""Only the icons that the pages show: the theme's script brings two thousand, 1.5 MB of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

__all__ = ["lighten", "setup"]

SCRIPT = "_static/scripts/fontawesome.js"
NAME = re.compile(r"\bfa-([a-z0-9-]+)")
# "magnifying-glass":[512,512,[128269,"search"],"f002","M416 208c0 ..."], with its other names.
ICON = re.compile(
    r'"?(?P<name>[a-z0-9-]+)"?:\[\d+,\d+,\[(?P<others>[^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?'
)


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("build-finished", _lighten_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lighten(script: str, used: set[str]) -> str:
    """Return the script without the icons that have none of these names."""

    def kept(icon: re.Match[str]) -> str:
        names = {icon["name"], *re.findall(r'"([^"]+)"', icon["others"])}
        return icon[0] if names & used else ""

    return ICON.sub(kept, script)


def _lighten_script(app: Any, error: Exception | None) -> None:
    path = Path(app.outdir) / SCRIPT
    if error is not None or app.builder.format != "html" or not path.exists():
        return
    sources = [*Path(app.outdir).rglob("*.html"), path.with_name("pydata-sphinx-theme.js")]
    used = {name for source in sources for name in NAME.findall(source.read_text(encoding="utf8"))}
    # Pages that were built before and are no more may have used others: they do no harm.
    path.write_text(lighten(path.read_text(encoding="utf8"), used), encoding="utf8")
