"""The gallery: every captioned figure of the chapters, small, as a link to where it stands.

A page says ``{gallery}`` as a directive. Its pictures are made from the figures of the same build.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from PIL import Image
from sphinx import addnodes

__all__ = ["Figure", "figures", "setup", "thumbnail"]

WIDTH, HEIGHT = 320, 200  # pixels, twice of what is shown
FOLDER = "_images/gallery"


@dataclass(frozen=True)
class Figure:
    """A figure of a page: its anchor, the picture's file, alt text and first sentence."""

    page: str
    anchor: str
    file: Path
    alt: str
    caption: str

    @property
    def thumbnail(self) -> str:
        """The name of the small picture; anchors are unique in the book."""
        return f"{self.anchor}.webp"


class _Place(nodes.General, nodes.Element):
    """Where the gallery goes: other pages are not read yet when this one is."""


class _Directive(Directive):
    def run(self) -> list[nodes.Node]:
        return [_Place()]


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.add_node(_Place)
    app.add_directive("gallery", _Directive)
    app.connect("env-updated", _read_again)
    app.connect("doctree-resolved", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": False}


def figures(doctree: nodes.document, page: str, folder: Path) -> Iterator[Figure]:
    """The captioned figures of a page that have a picture file, in their order."""
    for figure in doctree.findall(nodes.figure):
        caption = next(iter(figure.findall(nodes.caption)), None)
        image = next(
            (i for i in figure.findall(nodes.image) if str(i["uri"]).endswith(".png")), None
        )
        if caption is None or image is None or not figure["ids"]:
            continue
        file = Path(image["uri"])
        yield Figure(
            page=page,
            anchor=figure["ids"][0],
            file=file if file.is_absolute() else folder / file,
            alt=image.get("alt", ""),
            caption=_sentence(caption, image.get("alt", "")),
        )


def _sentence(caption: nodes.Element, alt: str) -> str:
    """The first sentence of a caption; of the alt text where that one refers, or has TeX."""
    text = caption.astext().split(". ")[0]
    hidden = [node.astext() for node in caption.findall(nodes.math) if "\\" in node.astext()]
    hidden += [node.astext() for node in caption.findall(addnodes.pending_xref)]
    if alt and any(part in text for part in hidden):
        text = alt.split(". ")[0]
    return text.replace("\n", " ").rstrip(".") + "."


def thumbnail(file: Path, target: Path) -> None:
    """Write a small picture on white that keeps the proportions."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(file) as picture:
        small = picture.convert("RGB")
        small.thumbnail((WIDTH, HEIGHT))
        small.save(target, quality=60)


def _read_again(app: Any, env: Any) -> list[str]:
    """Pages with a gallery are written anew whenever another one was."""
    return [name for name in env.found_docs if name.endswith("library/gallery")]


def _fill(app: Any, doctree: nodes.document, page: str) -> None:
    places = list(doctree.findall(_Place))
    if not places:
        return
    found: list[nodes.Node] = []
    if app.builder.format == "html":
        for name in _in_order(app.env):
            own = [
                figure
                for figure in figures(app.env.get_doctree(name), name, Path(app.srcdir))
                if figure.file.is_file()
            ]
            if own:
                title = app.env.titles[name].astext()
                found.append(nodes.raw("", _section(app, page, title, own), format="html"))
    for place in places:
        place.replace_self(found)


def _in_order(env: Any) -> list[str]:
    """The pages in the order of the table of contents."""
    names = [env.config.root_doc]
    for name in names:
        names += [n for n in env.toctree_includes.get(name, []) if n not in names]
    return names


def _section(app: Any, page: str, title: str, own: list[Figure]) -> str:
    cards = []
    for figure in own:
        target = Path(app.outdir) / FOLDER / figure.thumbnail
        thumbnail(figure.file, target)
        link = f"{app.builder.get_relative_uri(page, figure.page)}#{figure.anchor}"
        up = "../" * page.count("/")
        cards.append(
            f'<a class="lrmf-card" href="{html.escape(link)}">'
            f'<img loading="lazy" src="{up}{FOLDER}/{figure.thumbnail}" '
            f'alt="{html.escape(figure.alt)}">'
            f"<span>{html.escape(figure.caption)}</span></a>"
        )
    return (
        f'<h2 class="lrmf-gallery-title">{html.escape(title)}</h2>'
        f'<div class="lrmf-gallery">{"".join(cards)}</div>'
    )
