"""Align distributions with log-likelihood-ratio minimising flows (Usman et al., NeurIPS 2020).

Importing this package loads neither JAX nor TensorFlow: every public name is imported when it is
first used. ``__init__.pyi`` lists them.
"""

import lazy_loader as _lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
