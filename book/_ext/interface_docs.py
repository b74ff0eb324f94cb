"""What the docstrings mean in the pages of the interface.

They are written for readers of the source: a formula stands as an indented paragraph of plain text,
and a bar is an absolute value, where reStructuredText takes it for a substitution. And a constant
has no text of its own, so that its type's would be shown.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["escaped", "rendered", "setup", "tex"]

_FUNCTIONS = frozenset(
    ("argmin", "arcsinh", "det", "exp", "log", "max", "mean", "min", "sinh", "softmax", "tr")
)
_SIGNS = {
    "^(-½)": "^{-1/2}", "^½": "^{1/2}", "½": r"\tfrac12 ", "⁻¹": "^{-1}", "²": "^2", "₁": "_1",
    "·": r"\cdot ", "~": r"\sim ", "−": "-", "′": "'", "{ ": r"\{", " }": r"\}", " | ": r" \mid ",
}  # fmt: skip


def setup(app: Any) -> dict[str, bool]:
    """Prepare the build; Sphinx calls this."""
    app.connect("autodoc-process-docstring", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _prepare(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [] if what in ("data", "attribute") else rendered(lines)


def rendered(lines: list[str]) -> list[str]:
    r"""The same lines with their indented paragraphs as formulas, and bars escaped elsewhere.

    >>> rendered(["It is", "", "    |x|²", "", "of |x|."])
    ['It is', '', '.. math::', '', '   |x|^2', '', 'of \\|x\\|.']
    """
    found: list[str] = []
    text: list[str] = []
    formula: list[str] = []
    before = ""  # the last line that was not blank
    for number, line in enumerate([*lines, ""]):
        blank = number == 0 or not lines[number - 1].strip()
        starts = line.startswith("    ") and blank and re.match(r"[^\s:.*>-]", before)
        if line.strip() and (formula or starts) and ">>>" not in line:
            formula.append(line.strip())
            continue
        if formula:
            found += [*escaped(text), ".. math::", "", f"   {tex((4 * ' ').join(formula))}"]
            text, formula = [], []
        text.append(line)
        before = line if line.strip() else before
    return found + escaped(text[:-1])


def tex(formula: str) -> str:
    r"""A formula in plain text, as the docstrings have it, in TeX.

    >>> tex("min_P Σ_ij P_ij |x_i|² + ε KL(P | uniform)")
    '\\operatorname{min}_P Σ_{ij} P_{ij} |x_i|^2 + ε \\mathrm{KL}(P \\mid \\text{ uniform})'
    >>> tex("-E log|det ∇T(a)|,    λ { C_A^(-½) }")
    '-\\mathbb{E} \\operatorname{log}|\\operatorname{det} ∇T(a)|,\\qquad λ \\{C_A^{-1/2}\\}'
    """
    formula = re.sub(r"\s{3,}", r"\\qquad ", formula.strip())
    for sign, command in _SIGNS.items():
        formula = formula.replace(sign, command)
    formula = re.sub(r"(?<=_)([A-Za-z]{2,})", r"{\1}", formula)
    formula = re.sub(r"(?<![\\\w])E(?=[ |])", r"\\mathbb{E}", formula)
    # Words that are in no command and no index.
    words = r"(?<![\\A-Za-z_{])[A-Za-z]{2,}(?: (?:a|[A-Za-z]{2,})(?![A-Za-z(_|]))*"
    return re.sub(words, _word, formula)


def _word(match: re.Match[str]) -> str:
    word = match[0]
    if word in _FUNCTIONS:
        return rf"\operatorname{{{word}}}"
    if re.fullmatch(r"d[a-z]", word):  # a differential
        return word
    # TeX drops spaces; those beside words are meant.
    before = " " if match.string[: match.start()].endswith(" ") else ""
    after = " " if match.string[match.end() :].startswith(" ") else ""
    return rf"\mathrm{{{word}}}" if word.isupper() else rf"\text{{{before}{word}{after}}}"


def escaped(lines: list[str]) -> list[str]:
    r"""The same lines with bars escaped, but for those in literals and in doctests.

    >>> escaped(["|x| of ``a | b``", ">>> 1 | 2", "3"])
    ['\\|x\\| of ``a | b``', '>>> 1 | 2', '3']
    """
    found, literal, doctest = [], False, False
    for line in lines:
        if not line.strip():
            literal = doctest = False  # literals end with their paragraph
        doctest = doctest or line.lstrip().startswith(">>>")
        if doctest:
            found.append(line)
            continue
        parts = line.split("``")
        for i, part in enumerate(parts):
            if not literal:
                parts[i] = part.replace("|", r"\|")
            if i < len(parts) - 1:
                literal = not literal
        found.append("``".join(parts))
    return found
