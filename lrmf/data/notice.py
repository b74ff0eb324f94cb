"""What a page shows above results that other data gave than those it speaks of."""

import html

__all__ = ["StandInNotice"]

# Legible on light and dark pages, and in notebooks. On dark pages the book's theme gives outputs
# the colours of a light page but admonitions those of a dark one, so the text must follow these.
_STYLE = (
    "border: 1px solid currentColor; border-left-width: 0.4rem; padding: 0 0.6rem 0.8rem; "
    "color: var(--pst-color-text-base, inherit);"
)


class StandInNotice:
    """A notice that scikit-learn's digits stand in for USPS and MNIST, and what to do about it.

    Args:
        reason (str): Why, in a few words; without paths, since pages get published.

    >>> print(StandInNotice("no host delivered them"))
    Stand-in data. This page shows what scikit-learn's bundled digits give, since USPS and MNIST
    could not be had (no host delivered them); the saved results below are of the real pair.
    For the real pair, set LRMF_DATA_DIR to a folder with usps.npz and mnist_t10k.npz (or the
    official files), or go where the hosts can be reached, and build or run this page again.
    """

    title = "Stand-in data"

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    @property
    def text(self) -> str:
        """Two sentences: what one sees and why, and the cure."""
        reason = f" ({self.reason})" if self.reason else ""
        return (
            "This page shows what scikit-learn's bundled digits give, since USPS and MNIST could "
            f"not be had{reason}; the saved results below are of the real pair. For the real pair, "
            "set LRMF_DATA_DIR to a folder with usps.npz and mnist_t10k.npz (or the official "
            "files), or go where the hosts can be reached, and build or run this page again."
        )

    def __repr__(self) -> str:
        return f"{self.title}. {self.text}"

    def _repr_html_(self) -> str:
        return (
            f'<div class="admonition warning lrmf-stand-in" role="note" style="{_STYLE}">'
            f'<p class="admonition-title"><strong>{html.escape(self.title)}</strong></p>'
            f"<p>{html.escape(self.text)}</p></div>"
        )
