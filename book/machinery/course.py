"""Write what follows from an assignment's source: the student's page, the instructor's pack.

``book/course/<name>.md`` is a chapter with blocks for instructors, each from a line ``%%% kind``
(and the task's name) to the next such line, ``%%% end`` at the last:

* ``task``: level, minutes and points;
* ``solution``: the reference as a code block, then its reasons;
* ``rubric``: what the points are for;
* ``alternatives``: other right answers, a YAML list;
* ``mutants``: usual errors as changes of the solution, with the diagnosis that the check must make.

``python -m book.machinery.course`` writes the student's pages, which hold nothing of these blocks.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from book.machinery.config import ROOT, BookError

__all__ = [
    "SOURCES",
    "Assignment",
    "Exercise",
    "assignments",
    "fingerprints",
    "main",
    "write_pages",
]

SOURCES, PAGES = Path("book/course"), Path("book/course/student")
KINDS = ("task", "solution", "rubric", "alternatives", "mutants")
_CHECK = re.compile(r'^course\.check\("(?P<name>[\w.]+)", (?P<answer>.+)\)$', re.MULTILINE)
_CODE = re.compile(r"\A```python\n(?P<code>.*?\n)```\n?(?P<why>.*)\Z", re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exercise:
    """One task of an assignment with all that instructors see.

    ``answer`` is the expression in the student's notebook that is checked.
    """

    name: str
    title: str
    level: str
    minutes: int
    points: int
    answer: str
    code: str
    why: str
    rubric: str
    alternatives: tuple[str, ...]
    mutants: tuple[tuple[str, str], ...]

    def value(self, code: str, before: dict[str, Any]) -> Any:
        """Run code as in a notebook in which ``before`` is defined; returns the answer."""
        names = dict(before)
        exec(compile(code, "<answer>", "exec"), names)
        return eval(self.answer, names)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assignment:
    """An assignment's source taken apart; ``public`` is what students may see."""

    name: str
    title: str
    public: str
    setup: str
    exercises: tuple[Exercise, ...]


def assignments(root: Path = ROOT) -> list[Assignment]:
    """Read all assignments below ``root``, in the order of their names in the course."""
    from lrmf.course.assignments import ASSIGNMENTS

    files = {path.stem: path for path in sorted((root / SOURCES).glob("*.md"))}
    return [_read(files[name]) for name in ASSIGNMENTS if name in files]


def fingerprints(root: Path = ROOT) -> set[str]:
    """Return lines of solutions and their reasons that nothing published may hold."""
    lines = set()
    for assignment in assignments(root):
        for one in assignment.exercises:
            reasons = re.split(r"(?<=[.:]) ", one.why)
            for line in (*one.code.split("\n"), *one.rubric.split("\n"), *reasons):
                if len(line.strip()) >= 30 and line.strip() not in assignment.public:
                    lines.add(line.strip())
    return lines


def write_pages(root: Path = ROOT, *, check: bool = False) -> list[Path]:
    """Write the student's pages that differ from their sources; with check, only name them."""
    changed = []
    for assignment in assignments(root):
        path = root / PAGES / f"{assignment.name}.md"
        if not path.is_file() or path.read_text(encoding="utf8") != assignment.public:
            changed.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(assignment.public, encoding="utf8")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where --check finds stale pages."""
    parser = argparse.ArgumentParser(description="Write the pages of the course's assignments.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where stale")
    parser.add_argument("--instructor", type=Path, metavar="FOLDER", help="write the pack there")
    options = parser.parse_args(arguments)
    try:
        changed = write_pages(check=options.check)
        if options.instructor:
            from book.machinery.instructor import write_pack

            for path in write_pack(options.instructor):
                print(f"wrote {path}")
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in changed:
        print(("stale: " if options.check else "wrote ") + str(path.relative_to(ROOT)))
    return 1 if options.check and changed else 0


def _read(path: Path) -> Assignment:
    blocks: dict[str, dict[str, str]] = {}
    public: list[str] = []
    for name, kind, text in _pieces(path):
        if kind:
            if kind in blocks.setdefault(name, {}):
                raise BookError(f"{path.name}: {name} has two blocks of the kind {kind}")
            blocks[name][kind] = text
            if kind == "task":
                public.append(f"%%% {name}\n")
        else:
            public.append(text)
    text = "".join(public)
    answers = {match["name"]: match["answer"] for match in _CHECK.finditer(text)}
    if set(answers) != set(blocks):
        odd = ", ".join(sorted(set(answers) ^ set(blocks)))
        raise BookError(f"{path.name}: without a check, or without a block: {odd}")
    exercises = []
    for name, parts in blocks.items():
        heading = re.search(rf"^%%% {re.escape(name)}\n\s*## (.+)\n", text, re.MULTILINE)
        if heading is None:
            raise BookError(f"{path.name}: the block of {name} must stand before its heading")
        one = _exercise(path, name, heading[1], answers[name], parts)
        line = f"*{one.level}, about {one.minutes} minutes, {one.points} points*"
        text = text.replace(heading[0], f"\n## {one.title}\n\n{line}\n")
        exercises.append(one)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    if title is None:
        raise BookError(f"{path.name} has no title")
    cells = re.findall(r"^```\{code-cell\} python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return Assignment(
        name=path.stem,
        title=title[1],
        public=re.sub(r"\n{3,}(?=## )", "\n\n", text),
        setup=cells[0],
        exercises=tuple(exercises),
    )


def _pieces(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the task's name, the kind of block and its text; no kind for what students see."""
    name = kind = ""
    lines: list[str] = []
    for line in path.read_text(encoding="utf8").splitlines(keepends=True):
        if not line.startswith("%%% "):
            lines.append(line)
            continue
        yield name, kind, "".join(lines)
        lines = []
        words = line.split()[1:]
        if words == ["end"]:
            name = kind = ""
        elif len(words) == 2 and words[0] in KINDS:
            kind, name = words
        else:
            raise BookError(f"{path.name}: cannot read {line.strip()!r}")
    if kind:
        raise BookError(f"{path.name}: the last block of {name} has no %%% end")
    yield name, kind, "".join(lines)


def _exercise(path: Path, name: str, title: str, answer: str, parts: dict[str, str]) -> Exercise:
    missing = [kind for kind in KINDS if kind not in parts]
    if missing:
        raise BookError(f"{path.name}: {name} has no block {', '.join(missing)}")
    head = yaml.safe_load(parts["task"])
    solution = _CODE.match(parts["solution"])
    if solution is None:
        raise BookError(f"{path.name}: the solution of {name} does not start with its code")
    code = solution["code"]
    return Exercise(
        name=name,
        title=title,
        level=head["level"],
        minutes=head["minutes"],
        points=head["points"],
        answer=answer,
        code=code,
        why=solution["why"].strip(),
        rubric=parts["rubric"].strip(),
        alternatives=tuple(yaml.safe_load(parts["alternatives"])),
        mutants=tuple(
            (_mutated(path, name, code, mutant), mutant["finds"])
            for mutant in yaml.safe_load(parts["mutants"])
        ),
    )


def _mutated(path: Path, name: str, code: str, mutant: dict[str, str]) -> str:
    if "code" in mutant:
        return mutant["code"]
    for old, new in (("old", "new"), ("old2", "new2")):
        if old in mutant:
            if mutant[old] not in code:
                raise BookError(f"{path.name}: {name} has a mutant of other code: {mutant[old]!r}")
            code = code.replace(mutant[old], mutant[new])
    return code


if __name__ == "__main__":
    sys.exit(main())
