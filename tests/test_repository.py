"""What the house asks of every file."""

from book.machinery.config import ROOT

FOLDERS = ("lrmf", "book", "tests", "benchmarks")
MOST = 400  # lines: what one reads from top to bottom in one go


def test_no_python_file_is_longer_than_one_reads():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf8").splitlines())
        for path in files
    }
    assert len(lengths) > 300
    long = {name: length for name, length in lengths.items() if length > MOST}
    assert long == {}, "split them along meaning, by names that a stranger would guess"
