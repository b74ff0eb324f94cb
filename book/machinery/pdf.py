"""Print the book as one PDF with Chromium: ``make pdf``.

Sphinx puts all pages into one, from the outputs that `make book` kept, and Chromium prints it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from book.machinery.config import ROOT

__all__ = ["PROGRAMS", "chromium", "main", "printable", "single_page"]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Milliseconds of the page's own clock for the formulas of a whole book.
PATIENCE = 600_000

_PRINT = """\
<style>
@page { size: A4; margin: 18mm 16mm; }
@media print {
  .bd-header, .bd-header-article, .bd-sidebar-primary, .bd-sidebar-secondary, .bd-footer,
  .prev-next-area, .headerlink, .sbt-scroll-pixel-helper, .lrmf-backends, #pst-skip-link,
  #pst-back-to-top {
    display: none !important;
  }
  .bd-main, .bd-content, .bd-article-container, .bd-article {
    display: block !important; max-width: none !important; overflow: visible !important;
  }
  article section > h1 { break-before: page; }
  figure, table, .proof { break-inside: avoid; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  dl.py div.math { font-size: 72%; } /* the long ones, indented, would leave the paper */
}
</style>
"""


def single_page(output: Path, *, toc: Path | None = None, config: Path | None = None) -> Path:
    """Build all pages into one; the file's path."""
    command = [sys.executable, "-c", _BUILD, "build", ".", "--builder", "singlehtml"]
    command += ["--path-output", str(output)]
    command += ["--toc", str(toc)] if toc else []
    command += ["--config", str(config)] if config else []
    subprocess.run(command, cwd=ROOT, check=True)
    folder = output / "_build" / "singlehtml"
    # The root's own name, or that of the page that leads to it.
    page = next(p for p in (folder / "book" / "intro.html", folder / "index.html") if p.exists())
    whole = folder / "all.html"
    text = printable(page.read_text(encoding="utf8"), page.relative_to(folder).as_posix())
    whole.write_text(text, encoding="utf8")
    return whole


def printable(text: str, name: str) -> str:
    """The single page, for the folder that Sphinx takes it to lie in, with links into itself.

    Args:
        text: HTML.
        name: where Sphinx put the page, seen from that folder.

    >>> printable('<a href="#document-book/a#b"><img src="../_images/c.png">', "book/intro.html")
    '<a href="#b"><img src="_images/c.png">'
    """
    text = re.sub(rf'href="(?:#document-[^"#]*|{re.escape(name)})#', 'href="#', text)
    text = text.replace('src="../_images/', 'src="_images/')
    return text.replace("</head>", f"{_PRINT}</head>", 1)


_BUILD = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"


def chromium() -> str:
    """The browser that prints.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(f"no Chromium was found; install one of {', '.join(PROGRAMS)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 where no PDF came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT, help="above the build's folder")
    parser.add_argument("--toc", type=Path, help="another table of contents")
    parser.add_argument("--config", type=Path, help="another configuration")
    options = parser.parse_args(arguments)
    try:
        browser = chromium()
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    page = single_page(options.output, toc=options.toc, config=options.config)
    target = options.output / "_build" / "lrmf.pdf"
    target.unlink(missing_ok=True)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    flags += ["--disable-background-networking", f"--virtual-time-budget={PATIENCE}"]
    command = [browser, *flags, f"--print-to-pdf={target}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    if not target.is_file():
        print("error: Chromium printed nothing", file=sys.stderr)
        return 1
    if (pages := options.output / "_build" / "html").is_dir():
        shutil.copyfile(target, pages / target.name)  # where the pages' menu leads
    print(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
