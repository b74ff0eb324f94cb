"""Build wheel and sdist, install the wheel in an empty environment, use it as its users would.

``python -m tests.packaging --extras jax --constraints constraints/lowest.txt``. Nothing of this
checkout is on the path then: the README's example runs, the command judges two files, files of
every version load, and a type checker sees the types. It needs a package index.

``--extras colab`` installs nothing: it asks pip what it would install in a Colab runtime, of the
versions in ``constraints/colab.txt``, for the install cell of a notebook.

``--extras none`` installs nothing: the wheel is unpacked and used with what this Python has, which
tells in a minute whether the wheel is whole.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 5_000_000  # bytes of the wheel
JUPYTER = ("anywidget", "ipykernel", "ipython", "ipywidgets")
#: Where an unpacked wheel lies, for the commands that use it.
_path: list[str] = []

_USE = """\
import pathlib, sys
import numpy as np
import lrmf
assert not lrmf.__file__.startswith(sys.argv[3]), lrmf.__file__
rng = np.random.default_rng(0)
np.savetxt("a.csv", rng.normal(size=(400, 2)), delimiter=",")
np.savetxt("b.csv", rng.normal(size=(400, 2)) + 2.0, delimiter=",")
for path in pathlib.Path(sys.argv[1]).glob("*.lrmf"):
    others = {"version_1_aub": "AUB", "version_1_coral": "CORAL"}
    others |= {"version_2": "AUB", "version_3": "AUB"}
    name = others.get(path.stem, "LRMF")
    options = {} if name == "CORAL" else {"backend": sys.argv[2]}
    model = getattr(lrmf, name).load(path, **options)
    moved = model.transform(rng.normal(size=(3, *model.event_shape_)))
    assert np.isfinite(moved).all(), path
print(*sorted(p.name for p in pathlib.Path(sys.argv[1]).glob("*.lrmf")))
"""

_TYPES = """\
import numpy as np
import lrmf
points = np.zeros((30, 2))
reveal_type(lrmf.lrd(points, points).lrd)
reveal_type(lrmf.LRMF(steps=3))
lrmf.lrd(points, points, tolerance="small")
lrmf.no_such_name
"""

#: What mypy must say of the text above, line by line.
_SAID = (
    r'uses\.py:4: note: Revealed type is "(builtins\.)?float"',
    r'uses\.py:5: note: Revealed type is "lrmf\.[a-z_.]*LRMF"',
    r'uses\.py:6: error: .*"tolerance".*float',
    r'uses\.py:7: error: Module has no attribute "no_such_name"',
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; raises where something fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extras", default="jax", choices=["jax", "tfp", "colab", "none"])
    parser.add_argument("--constraints", type=Path, help="a file of versions; the newest without")
    options = parser.parse_args(arguments)
    folder = ROOT / "_build" / "package"
    wheel = build(folder)
    with tempfile.TemporaryDirectory() as name:
        elsewhere = Path(name)
        if options.extras == "colab":
            resolve(wheel, elsewhere)
            return 0
        if options.extras == "none":
            say(f"unpacking {wheel.name}")
            zipfile.ZipFile(wheel).extractall(elsewhere / "wheel")
            _path.append(str(elsewhere / "wheel"))
            use(sys.executable, elsewhere, "jax")
            check_types(sys.executable, elsewhere)
            return 0
        python = environment(elsewhere / "venv")
        pinned = ["-c", str(options.constraints.resolve())] if options.constraints else []
        say(f"installing {wheel.name}[{options.extras}]")
        pip(python, *pinned, f"lrmf[{options.extras}] @ {wheel.as_uri()}")
        use(python, elsewhere, options.extras)
        pip(python, "mypy")
        check_types(python, elsewhere)
    return 0


def build(folder: Path) -> Path:
    """Build both archives in an environment of their own and look into them; the wheel's path."""
    say("building wheel and sdist")
    dist = folder / "dist"
    for old in dist.glob("*"):
        old.unlink()
    python = environment(folder / "venv")
    pip(python, "hatchling>=1.25")
    run([python, "-m", "hatchling", "build", "-d", str(dist)], ROOT)
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    with tarfile.open(sdist) as archive:
        inside = {member.partition("/")[2] for member in archive.getnames()}
    wanted = {"lrmf/py.typed", "lrmf/__init__.pyi", "lrmf/__main__.py"}
    if lacking := [name for name in sorted(wanted) if name not in names or name not in inside]:
        raise SystemExit(f"an archive lacks {', '.join(lacking)}")
    if stray := [name for name in names if not name.startswith(("lrmf/", "lrmf-"))]:
        raise SystemExit(f"the wheel holds {', '.join(stray[:5])}")
    size = wheel.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"the wheel has {size:,} bytes; at most {LARGEST:,} are allowed")
    say(f"{wheel.name}: {size / 1e6:.2f} MB, {sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB")
    return wheel


def resolve(wheel: Path, folder: Path) -> None:
    """Let pip find versions for a notebook in Colab, with the runtime's as they are.

    pip fails where a requirement wants another version than the runtime has. Parts of Jupyter
    belong to the runtime alone: nothing may ask for them.
    """
    say("resolving the install cell in Colab's runtime")
    report = folder / "report.json"
    options = ["--dry-run", "--ignore-installed", "--report", str(report)]
    options += ["--target", str(folder / "none"), "--python-version", "3.13"]
    options += ["--only-binary=:all:", "-c", str(ROOT / "constraints" / "colab.txt")]
    pip(sys.executable, *options, f"lrmf[jax,tfp,notebook] @ {wheel.as_uri()}")
    found = json.loads(report.read_text(encoding="utf8"))["install"]
    names = {each["metadata"]["name"].lower() for each in found}
    if touched := sorted(names & set(JUPYTER)):
        raise SystemExit(f"the install cell would touch the runtime's {', '.join(touched)}")
    assert {"lrmf", "jax", "tensorflow"} <= names, names
    say(f"{len(names)} packages, and none of the runtime's is replaced")


def use(python: str, folder: Path, backend: str) -> None:
    """The README's example, old files, and the command."""
    text = (ROOT / "README.md").read_text(encoding="utf8")
    example = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert example is not None
    code = example[1].replace("lrmf.LRMF(", f'lrmf.LRMF(backend="{backend}", ')
    say("running the README's example")
    said = run([python, "-c", code], folder)
    assert said.startswith("aligned"), said
    say("loading the files of every version")
    files = ROOT / "tests" / "files"
    loaded = run([python, "-c", _USE, str(files), backend, str(ROOT)], folder).splitlines()[-1]
    assert loaded.split() == sorted(path.name for path in files.glob("*.lrmf")), loaded
    say("judging two files")
    judge = [python, "-m", "lrmf", "judge", "a.csv", "b.csv"]
    assert run(judge, folder, code=1).startswith("not aligned")


def check_types(python: str, folder: Path) -> None:
    """A type checker finds the types in the installed package, and faults in its use."""
    say("checking types from outside")
    (folder / "uses.py").write_text(_TYPES, encoding="utf8")
    said = run([python, "-m", "mypy", "uses.py"], folder, code=1).splitlines()
    for line, expected in zip(said, _SAID, strict=False):
        if not re.match(expected, line):
            raise SystemExit(f"mypy said {line!r}, expected {expected!r}")
    assert len(said) == len(_SAID) + 1, said  # and the sum


def environment(folder: Path) -> str:
    """The Python of a new, empty environment."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def pip(python: str, *arguments: str) -> None:
    run([python, "-m", "pip", "install", "--quiet", *arguments], ROOT)


def run(command: list[str], folder: Path, *, code: int = 0) -> str:
    """What a command printed; nothing of this checkout is on its path."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    clean |= {name: os.pathsep.join(_path) for name in ("PYTHONPATH", "MYPYPATH") if _path}
    done = subprocess.run(
        command, cwd=folder, env=clean, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != code:
        raise SystemExit(f"{' '.join(command)[:200]} ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def say(line: str) -> None:
    print(f"== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
