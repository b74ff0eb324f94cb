"""Training as an animation for pages without a kernel: points, density, grid and loss, in step.

A `Track` holds what one method did, at some of its training steps; a `Player` shows one or
several of them over one timeline. It is a piece of HTML that needs no other host and no kernel,
so it works on a page of a book, in a saved file and as the output of a notebook's cell. A
`Turntable` shows meshes in the same way, which the reader turns.
"""

from .page import BUDGET, Player
from .tracks import Track
from .turntable import Turntable

__all__ = ["BUDGET", "Player", "Track", "Turntable"]
