"""Commands for instructors: ``python -m lrmf.course grade FOLDER``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lrmf.course.assignments import ASSIGNMENTS
from lrmf.course.grading import grade
from lrmf.course.running import Limits


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where there is nothing to grade."""
    parser = argparse.ArgumentParser(prog="python -m lrmf.course", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("grade", help="grade all notebooks below a folder")
    command.add_argument("folder", type=Path)
    command.add_argument("--assignment", required=True, choices=sorted(ASSIGNMENTS))
    command.add_argument("--out", type=Path, help="FOLDER-graded by default")
    command.add_argument("--points", type=Path, help="JSON file: the points of each task")
    command.add_argument("--seconds", type=float, default=300.0, help="for each notebook")
    command.add_argument("--memory", type=int, default=6000, help="megabytes for each notebook")
    command.add_argument("--seed", type=int, help="the same cases for everybody")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    try:
        points = None
        if options.points:
            points = json.loads(options.points.read_text(encoding="utf8"))
        table = grade(
            folder,
            assignment=options.assignment,
            out=options.out or folder.with_name(f"{folder.name}-graded"),
            points=points,
            limits=Limits(seconds=options.seconds, memory=options.memory),
            seed=options.seed,
            say=_say,
        )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"wrote {table}\n")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
