"""Faults of files, checkpoints and caches, and of what they rest on."""

from __future__ import annotations

from functools import partial

from tests.mutants.runner import Mutant

__all__ = ["MUTANTS"]

storage = partial(Mutant, file="lrmf/storage.py", tests=("tests/test_storage.py",))
WRITING = ("tests/test_storage_writing.py",)

MUTANTS = [
    storage(
        "files: everything becomes float32",
        old="np.ascontiguousarray(value) for",
        new="np.ascontiguousarray(value, dtype=np.float32) for",
    ),
    storage(
        "files: chance orders the header",
        old="dict(sorted(header",
        new="dict((header",
    ),
    storage(
        "files: scalars come back as vectors",
        old="x.reshape(np.shape(arrays[name])) for",
        new="x for",
    ),
    storage(
        "files: another kind of file is read",
        old="if found != kind:",
        new="if not found:",
    ),
    storage(
        "files: a failed write leaves its half behind",
        old="        elif _is_at(file, path):  # and",
        new="        elif False:  # and",
        tests=WRITING,
    ),
    storage(
        "files: nobody looks at the hash",
        old="if hashlib.sha256(hollow).hexdigest().encode() != found:",
        new="if not found:",
    ),
    storage(
        "files: a damaged one passes for one of the first version",
        old="if not hashes and (",
        new="if False and (",
    ),
    storage(
        "files: a link is replaced",
        old="target = Path(os.path.realpath(path))",
        new="target = Path(path)",
        tests=WRITING,
    ),
    storage(
        "files: permissions are lost",
        old="    os.chmod(path, mode)",
        new="    os.chmod(path, 0o644)",
        tests=WRITING,
    ),
    storage(
        "files: root overwrites what is read-only",
        old="if not mode & 0o222 or not",
        new="if not",
        tests=WRITING,
    ),
    storage(
        "files: two writers do not wait for each other",
        old="        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))",
        new="        pass",
        tests=WRITING,
    ),
    storage(
        "files: any version is read",
        old="if version not in range(1, _VERSION + 1):",
        new="if not version:",
    ),
    Mutant(
        "checkpoint: that of another fit is used",
        "lrmf/checkpoints.py",
        'if document.get("fingerprint") != self._fingerprint:',
        'if not document.get("fingerprint"):',
        ("tests/test_checkpoints.py", "-k", "record or refused"),
    ),
    Mutant(
        "checkpoint: a failed write ends the fit",
        "lrmf/checkpoints.py",
        "except OSError as error:",
        "except ZeroDivisionError as error:",
        ("tests/test_checkpoints.py", "-k", "failed_write"),
    ),
    Mutant(
        "checkpoint: two fits write one file",
        "lrmf/checkpoints.py",
        "            if writes:",
        "            if not writes:",
        ("tests/test_checkpoints.py", "-k", "in_use"),
    ),
    Mutant(
        "checkpoint: a stage forgets the others",
        "lrmf/checkpoints.py",
        "self._records[name] = Record(document, dict(arrays))",
        "self._records = {name: Record(document, dict(arrays))}",
        ("tests/test_checkpoints.py", "-k", "record or refused"),
    ),
    Mutant(
        "fingerprints: functions count by their names",
        "lrmf/fingerprints.py",
        'yield "constants", value.co_consts',
        "pass",
        ("tests/test_fingerprints.py", "-k", "another"),
    ),
    Mutant(
        "fingerprints: addresses count",
        "lrmf/fingerprints.py",
        '_ADDRESS.sub("", repr(value))',
        "repr(value)",
        ("tests/test_fingerprints.py", "-k", "same"),
    ),
    Mutant(
        "forks: a backend is used in one",
        "lrmf/backends/processes.py",
        "elif self._process != os.getpid():",
        "elif not self._process:",
        ("tests/test_forks.py", "-k", "unused or (refused and jax)"),
    ),
    Mutant(
        "parameters: NumPy's scalars stay",
        "lrmf/aligners/base.py",
        "name: plain(value) for name",
        "name: value for name",
        ("tests/aligners/test_numpy_scalars.py", "-k", "lrmf"),
    ),
    Mutant(
        "data: the shape does not count",
        "lrmf/data/fetch.py",
        "{array.dtype.str} {array.shape} ",
        "{array.dtype.str} ",
        ("tests/data/test_damaged.py",),
    ),
    Mutant(
        "data: an archive is unpacked before its size is known",
        "lrmf/data/fetch.py",
        "_check_size(entry.file_size)",
        "pass",
        ("tests/data/test_damaged.py",),
    ),
]
