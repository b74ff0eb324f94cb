"""What a check says: to a student in words, to a page in HTML, to a grader in fields."""

from __future__ import annotations

import base64
import dataclasses
import html

__all__ = ["Report"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """The outcome of one check.

    Attributes:
        name: the task.
        passed: whether the answer is right.
        diagnosis: short name of what went wrong, empty where nothing did.
        text: what happened, and what to think about.
        case: the smallest input found for which the answer is wrong, in words.
        picture: that case drawn as a PNG, empty where it cannot be drawn.
        alt: what the picture shows.

    >>> from lrmf import course
    >>> report = course.check("flows.statements", {"z"})
    >>> report.name, report.passed, bool(report)
    ('flows.statements', False, False)
    """

    name: str
    passed: bool
    diagnosis: str = ""
    text: str = ""
    case: str = ""
    picture: bytes = b""
    alt: str = ""

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        mark = "✓" if self.passed else "○" if self.diagnosis == "unanswered" else "✗"
        parts = [f"{mark} {self.name}: {self.text}"]
        if self.case:
            parts.append(self.case)
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, *rest = html.escape(str(self)).split("\n")
        lines = f"<strong>{first}</strong>" + "".join(f"<br>{line}" for line in rest)
        image = ""
        if self.picture:
            data = base64.b64encode(self.picture).decode("ascii")
            image = f'<br><img src="data:image/png;base64,{data}" alt="{html.escape(self.alt)}">'
        return f'<div class="lrmf-check" role="status"><p>{lines}{image}</p></div>'
