"""Downloading a file, and remembering for a while that it could not be had.

Slow is treated like refused. A mirror may be silent for ``PATIENCE`` seconds, must from then on
have sent ``SLOWEST`` bytes per second on average, and be through after ``LONGEST``. This rule
bounds the look-up of its name, each address that does not answer, a server that accepts and says
nothing, and a trickle; the timeouts of sockets bound none of them together.
"""

import contextlib
import json
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["MIRRORS", "Failure", "failure_of", "get", "recall", "remember"]

# Official files under their official names, each on independent hosts. Everything is checked by
# content, so a mirror that goes astray costs time and nothing else.
MIRRORS = {
    "usps": (
        "https://hastie.su.domains/ElemStatLearn/datasets/",  # the authors'
        "https://raw.githubusercontent.com/tdhock/2023-08-deep-learning/main/data/",
    ),
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
        "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
        "https://raw.githubusercontent.com/fgnt/mnist/master/",
    ),
    "meshes": (
        "https://raw.githubusercontent.com/alecjacobson/common-3d-test-models/master/data/",
        "https://cdn.jsdelivr.net/gh/alecjacobson/common-3d-test-models@master/data/",
    ),
}

# Seconds; a host that works answers in a fraction of one.
PATIENCE = 4.0
# Bytes per second: at this rate the largest file of the book's pair takes half a minute.
SLOWEST = 50_000
# Seconds in all, however steadily it sends.
LONGEST = 60.0
# Bytes; twice the largest official file. Whatever is longer is none of them, and may have no end.
LARGEST = 20_000_000
_PART = 65_536
# Seconds that a failure counts. As long as a build of the book takes to come to its last page with
# digits, so that the wait is spent once; short enough that the next build tries again by itself.
REMEMBERED = 600.0

_failures: dict[Path, "Failure"] = {}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An attempt to download a file, for which no mirror delivered it.

    Attributes:
        what (str):
            The file and what each mirror did, in words.
        when (float):
            Seconds since 1970.
        try_again (str):
            What to do to have it tried again at once.
    """

    what: str
    when: float
    try_again: str


def get(url: str) -> bytes:
    """Return what an address delivers; a dropped connection or a busy server is asked twice.

    Raises:
        OSError:
            If it cannot be reached, refuses, or is slower than ``PATIENCE`` and ``SLOWEST`` allow.
        ValueError:
            If the address, or that of the proxy, is none; or what it delivers is too long.
    """
    import requests  # noqa: F401  (here, so that the mirror is not charged for it)

    parts: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
    abandoned = threading.Event()
    # Nothing interrupts the look-up of a name. A daemon does not keep Python from exiting.
    threading.Thread(target=_stream, args=(url, parts, abandoned), daemon=True).start()
    content, start = bytearray(), time.monotonic()
    try:
        while True:
            allowed = min(LONGEST, PATIENCE + len(content) / SLOWEST)
            due = start + allowed - time.monotonic()
            part = parts.get(timeout=max(0.0, min(PATIENCE, due)))
            if part is None:
                return bytes(content)
            if isinstance(part, Exception):
                raise part
            content += part
            if len(content) > LARGEST:
                raise ValueError(f"longer than {LARGEST / 1e6:.0f} MB, which no official file is")
    except queue.Empty:
        seconds = time.monotonic() - start
        raise TimeoutError(
            f"too slow, {len(content) / 1000:.0f} kB in {seconds:.1f} s"
            if content
            else f"no answer within {seconds:.1f} s"
        ) from None
    finally:
        abandoned.set()


def _stream(
    url: str, parts: "queue.SimpleQueue[bytes | Exception | None]", abandoned: threading.Event
) -> None:
    import requests
    from urllib3 import Retry

    once_more = Retry(
        total=1,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    try:
        with requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=once_more))
            # Whoever waits has given up by then; without a timeout, this thread never would.
            with session.get(url, stream=True, timeout=2 * PATIENCE) as response:
                response.raise_for_status()
                # Whatever has come, however little: or a drip would keep this thread for hours.
                while part := response.raw.read1(_PART, decode_content=True):
                    if abandoned.is_set():
                        return
                    parts.put(part)
        parts.put(None)
    except Exception as error:  # raised where somebody waits for it
        parts.put(error)


def failure_of(url: str, error: Exception) -> str:
    """Say in a few words which host failed and how."""
    response = getattr(error, "response", None)
    if response is not None:
        how = f"HTTP status {response.status_code}"
    else:
        # requests wraps what urllib3 wraps: the innermost reason is the one that says something.
        cause = getattr(error.args[0] if error.args else None, "reason", None) or error
        how = str(cause).rpartition("): ")[2] or type(cause).__name__
    return f"{urlsplit(url).netloc}: {how}"


def remember(dataset: str, cache: Path, what: str) -> Failure:
    """Note a failure in the cache folder, for every process of a build; else in this process."""
    marker = _marker(dataset, cache)
    failure = Failure(what=what, when=time.time(), try_again=f"remove {marker}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"what": what, "when": failure.when}), encoding="utf8")
    except OSError:
        failure = Failure(what=what, when=failure.when, try_again="start Python anew")
        _failures[marker] = failure
    return failure


def recall(dataset: str, cache: Path) -> Failure | None:
    """Return the failure of a dataset that still counts, if there is one."""
    marker = _marker(dataset, cache)
    failure = _failures.get(marker)
    # Whatever cannot be read is no reason not to try.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
        noted = json.loads(marker.read_text(encoding="utf8"))
        failure = Failure(
            what=str(noted["what"]), when=float(noted["when"]), try_again=f"remove {marker}"
        )
    if failure is not None and 0 <= time.time() - failure.when < REMEMBERED:
        return failure
    return None


def _marker(dataset: str, cache: Path) -> Path:
    return cache / f"{dataset}-unavailable.json"
