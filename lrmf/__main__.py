"""Commands of the library: ``python -m lrmf judge a.csv b.csv``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence

__all__ = ["CODES", "OPTIONS", "main"]

#: What the command exits with, as ``diff`` does.
CODES = {"aligned": 0, "not aligned": 1, "not decided": 3}
TROUBLE = 2
#: What a verdict advises, and what does it here.
OPTIONS = {
    "judge with controls=True": "judge without --no-controls",
    "lrmf.plots.log_ratio(ax, certificate, ...) of the judged points": "--picture FILE",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    from lrmf import __version__

    parser = argparse.ArgumentParser(prog="python -m lrmf", description="Tools for two datasets.")
    parser.add_argument("--version", action="version", version=f"lrmf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "judge",
        help="do the rows of two files have one distribution?",
        description="Do the rows of two files have one distribution? Says how far apart they are "
        "(a lower bound of twice the Jensen-Shannon divergence, in nats), and decides.",
        epilog="Exit codes: 0 aligned, 1 not aligned, 3 not decided, 2 trouble.",
    )
    command.add_argument("source", metavar="A", help="a .csv, .tsv, .npy or .parquet file")
    command.add_argument("target", metavar="B", help="another one with the same columns")
    command.add_argument("--columns", type=_names, metavar="X,Y,...", help="the columns to judge")
    command.add_argument(
        "--drop-missing", action="store_true", help="leave out rows with missing values"
    )
    command.add_argument(
        "--tolerance", type=float, default=0.1, help="nats that count as aligned (default: 0.1)"
    )
    command.add_argument("--seed", type=int, default=0, help="default: 0")
    command.add_argument(
        "--no-controls", action="store_true", help="only the distance, in a sixth of the time"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument("--picture", metavar="FILE", help="draw where the two files differ")
    options = parser.parse_args(arguments)
    try:
        return _judge(options)
    except BrokenPipeError:  # whoever read the verdict has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except (OSError, ValueError, TypeError, ImportError) as error:
        sys.stderr.write(f"error: {_message(error)}\n")
        return TROUBLE
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _judge(options: argparse.Namespace) -> int:
    from lrmf.judge.files import judge_files

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = judge_files(
            options.source,
            options.target,
            columns=options.columns,
            drop_missing=options.drop_missing,
            tolerance=options.tolerance,
            seed=options.seed,
            controls=not options.no_controls,
        )
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        sys.stderr.write(f"warning: {message}\n")
    if options.json:
        sys.stdout.write(json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n")
    else:
        text = found.text()
        for in_python, here in OPTIONS.items():
            text = text.replace(in_python, here)
        sys.stdout.write(text + "\n")
    sys.stdout.flush()  # the verdict stands, whatever becomes of the picture
    if options.picture:
        found.picture(options.picture)
        if not options.json:
            sys.stdout.write(f"wrote {options.picture}\n")
    return CODES[found.certificate.decision]


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} does not name columns, as in --columns x,y")
    return names


if __name__ == "__main__":
    sys.exit(main())
