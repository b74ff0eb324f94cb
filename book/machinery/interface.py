"""Write the pages of the interface, from what is public: ``python -m book.machinery.interface``.

Each page holds directives of autodoc, which take text and signatures from the docstrings. What is
public and in none of `PAGES` stops the command.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import lrmf
from book.machinery.config import ROOT, BookError

__all__ = ["FOLDER", "PAGES", "main", "pages", "public"]

FOLDER = ROOT / "book" / "library" / "interface"

#: Of an aligner, what users call; not the many methods that come from scikit-learn.
_ALIGNER = (
    "fit, transform, inverse_transform, fit_transform, certificate, family_certificate, score, "
    "save, load"
)
_CALLED = ("forward", "inverse", "log_prob", "sample", "logits", "init", "fit", "predict", "score")


@dataclass(frozen=True)
class Group:
    """A section: its heading, a sentence, and modules (or names of ``lrmf``) that it lists."""

    heading: str
    text: str
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


#: File, title and sections of each page.
PAGES: dict[str, tuple[str, tuple[Group, ...]]] = {
    "aligners": (
        "Interface: aligners",
        (
            Group("Aligners", "All have `fit`, `transform`, `certificate` and `score`.",
                  ("lrmf.aligners",)),
            Group("Searching settings", "Aligners in scikit-learn's searches.",
                  ("lrmf.selection",)),
            Group("In skada", "Aligners as steps of skada's pipelines.", ("lrmf.adapters",)),
            Group("Warnings", "What `fit` may warn of.",
                  names=("DataWarning", "DivergenceWarning", "CheckpointWarning")),
        ),
    ),
    "models": (
        "Interface: flows and densities",
        (
            Group("Specs", "Descriptions of what can be built. They hold no arrays.",
                  ("lrmf.specs",)),
            Group("Models", "A spec with its arrays, in one of the backends.",
                  names=("Flow", "Density", "Classifier")),
            Group("Starts", "What a model needs to see of its data before it can compute.",
                  ("lrmf.starting",)),
            Group("Backends", "JAX and TensorFlow Probability.", ("lrmf.backends",)),
        ),
    ),
    "judge": (
        "Interface: judge and distances",
        (
            Group("Judge", "Whether two samples have one distribution.", ("lrmf.judge",)),
            Group("Distances and tests", "Other judges.", ("lrmf.distances", "lrmf.two_sample")),
            Group("Objectives", "The losses that aligners minimise.", ("lrmf.objectives",)),
            Group("Games", "Losses with an adversary.", ("lrmf.games",)),
        ),
    ),
    "data": (
        "Interface: data, figures, theory",
        (
            Group("Data", "Pairs to align.", ("lrmf.data",)),
            Group("Surfaces", "What a map does to a mesh.", ("lrmf.surfaces",)),
            Group("Figures", "What the chapters draw with.", ("lrmf.plots",)),
            Group("Training that moves", "Animations for pages and notebooks.", ("lrmf.player",)),
            Group("Closed forms", "The quantities behind the chapters.",
                  ("lrmf.theory.gaussian", "lrmf.theory.mixtures", "lrmf.theory.divergences",
                   "lrmf.theory.histogram")),
            Group("Course", "Checks of the assignments.", ("lrmf.course",)),
            Group("Widgets", "The chapters' sliders.", ("lrmf.widgets",)),
        ),
    ),
}  # fmt: skip


def public() -> dict[int, str]:
    """The names under which things are public, the shortest of each, by what they are."""
    found: dict[int, str] = {}
    everything: list[str] = _resolve("lrmf").__all__
    modules = [name for name in everything if isinstance(getattr(lrmf, name), ModuleType)]
    paths = [f"lrmf.{name}" for name in everything if name not in modules]
    for module in modules:
        names = getattr(getattr(lrmf, module), "__all__", [])
        for name in names:
            if isinstance(getattr(getattr(lrmf, module), name), ModuleType):
                inner = getattr(getattr(lrmf, module), name)
                paths += [f"lrmf.{module}.{name}.{own}" for own in inner.__all__]
            else:
                paths.append(f"lrmf.{module}.{name}")
    for path in paths:
        found.setdefault(id(_resolve(path)), path)
    return found


def pages() -> dict[str, str]:
    """The text of every page by its file's name.

    Raises:
        BookError: something public is on no page.
    """
    short, listed = public(), set()
    written = {}
    for name, (title, groups) in PAGES.items():
        lines = [f"(sec-interface-{name})=", f"# {title}", ""]
        for group in groups:
            lines += [f"## {group.heading}", "", group.text, "", "```{eval-rst}"]
            for path in _paths(group, short):
                if path not in listed:
                    listed.add(path)
                    lines += [*_directive(path), ""]
            lines += ["```", ""]
        written[f"{name}.md"] = "\n".join(lines)
    lost = sorted(set(short.values()) - listed)
    if lost:
        raise BookError(f"on no page of the interface: {', '.join(lost)}")
    return written


def _paths(group: Group, short: dict[int, str]) -> Iterator[str]:
    for name in group.names:
        yield f"lrmf.{name}"
    for module in group.modules:
        # What everybody looks for comes first.
        for name in sorted(_resolve(module).__all__, key=lambda name: name != "LRMF"):
            thing = getattr(_resolve(module), name)
            if not isinstance(thing, ModuleType):
                # Where a name moved up, it is documented under the shorter one.
                yield short[id(thing)]


def _directive(path: str) -> list[str]:
    thing = _resolve(path)
    if inspect.isclass(thing):
        if issubclass(thing, BaseException):
            return [f".. autoexception:: {path}"]
        lines = [f".. autoclass:: {path}"]
        members = [
            name
            for name in _CALLED
            if inspect.isfunction(inspect.getattr_static(thing, name, None))
        ]
        if hasattr(thing, "certificate"):
            own = [name for name in _ALIGNER.split(", ") if hasattr(thing, name)]
            lines += [f"   :members: {', '.join(own)}"]
        elif path in ("lrmf.Certificate", "lrmf.judge.Comparison"):
            lines += ["   :members:"]
        elif members and not path.startswith("lrmf.widgets"):
            lines += [f"   :members: {', '.join(members)}"]
        return lines
    if inspect.isfunction(thing):
        return [f".. autofunction:: {path}"]
    return [f".. autodata:: {path}", "   :no-value:"]


def _resolve(path: str) -> Any:
    thing: Any = lrmf
    for name in path.split(".")[1:]:
        thing = getattr(thing, name)
    return thing


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages; returns 1 where something public has no place."""
    try:
        found = pages()
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
