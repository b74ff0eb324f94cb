"""Settings of the kernels that execute the chapters (the Makefile points IPYTHONDIR here)."""

# TensorFlow writes start-up notes to the process's standard error, below Python, and no setting
# of its own silences them all. They would count as warnings of the cell that imports it. What
# Python itself writes to sys.stderr is still captured,
# so that a real warning fails the build. IPython defines c.
c.IPKernelApp.capture_fd_output = False  # type: ignore[name-defined]  # noqa: F821
