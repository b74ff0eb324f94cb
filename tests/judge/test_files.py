"""`python -m lrmf judge`: files in, a verdict out, and a message in place of a traceback."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from lrmf.__main__ import main
from lrmf.judge import tables
from lrmf.judge.files import judge_files, telling
from lrmf.judge.tables import read_table

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(2, 600, 3))
MOVED = B + np.array([0.0, 2.0, 0.0])


def write(path, points, names="x,y,z", delimiter=","):
    lines = [names.replace(",", delimiter)] if names else []
    lines += [delimiter.join(f"{v:.6f}" for v in row) for row in points]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return str(path)


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", MOVED)


def judged(capsys, *arguments, code):
    """Run the command quickly, without controls unless asked for; what it printed."""
    assert main(["judge", *arguments]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return out if code != 2 else err


def test_the_text_names_columns_and_rows_that_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", A), write(tmp_path / "b.csv", MOVED)
    lines = judge_files("a.csv", "b.csv", controls=False).text().splitlines()
    assert lines[0].startswith("not decided: lrd ")  # there are no controls
    assert "a.csv: 600 rows, 3 columns" in lines
    assert any(
        line.startswith("columns that differ (share of the log-ratio): y ") for line in lines
    )
    assert any(
        line.startswith("rows of a.csv that look least like the other's: ") for line in lines
    )
    assert max(map(len, lines)) <= 100


def test_json_picture_and_exit_code_of_files_that_differ(capsys, pair, tmp_path):
    picture = tmp_path / "where.png"
    found = json.loads(judged(capsys, *pair, "--json", "--picture", str(picture), code=1))
    assert found["decision"] == "not aligned"
    assert found["lrd"] > 0.3
    assert max(found["columns"], key=found["columns"].get) == "y"
    # The row that is least like the other file's, by its number in the file.
    first = found["files"][0]["furthest"]
    assert A[first[0]["row"] - 1, 1] < np.quantile(A[:, 1], 0.2)
    assert [f["log_ratio"] for f in first] == sorted((f["log_ratio"] for f in first), reverse=True)
    assert found["files"][1] | {"furthest": None} == {
        "path": pair[1], "rows": 600, "judged": 600, "dropped": 0, "furthest": None
    }  # fmt: skip
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_files_of_one_distribution_are_aligned(capsys, tmp_path):
    rng = np.random.default_rng(0)
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for file in files:
        np.save(file, rng.normal(size=(1500, 2)).astype(np.float32))
    assert judged(capsys, *map(str, files), code=0).startswith("aligned: ")


def test_without_controls_nothing_is_decided(capsys, pair):
    text = judged(capsys, *pair, "--no-controls", code=3)
    assert text.startswith("not decided")
    assert "cure: judge without --no-controls" in text


def test_what_the_verdict_advises_is_an_option_of_the_command(capsys, pair):
    text = judged(capsys, *pair, code=1)
    assert "--picture FILE shows where" in text
    assert "lrmf.plots" not in text


def test_columns_go_by_name(capsys, tmp_path):
    a = write(tmp_path / "a.csv", A)
    b = write(tmp_path / "b.tsv", B[:, [2, 0, 1]] * [1, 1, 9], names="z,x,y", delimiter="\t")
    found = json.loads(judged(capsys, a, b, "--json", "--no-controls", code=3))
    assert list(found["columns"]) == ["x", "y", "z"]
    assert max(found["columns"], key=found["columns"].get) == "y"
    found = json.loads(judged(capsys, a, b, "--json", "--no-controls", "--columns=z,x", code=3))
    assert list(found["columns"]) == ["z", "x"]
    assert found["lrd"] < 0.1


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz", "c.npy", "c.parquet"])
def test_every_kind_of_file_holds_the_same_numbers(tmp_path, name):
    path, expected = tmp_path / name, A[:50].round(6)
    if name.endswith(".npy"):
        np.save(path, expected)
    elif name.endswith(".parquet"):
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table(dict(zip("xyz", expected.T, strict=True))), path)
    else:
        write(tmp_path / "plain.csv", expected)
        content = (tmp_path / "plain.csv").read_bytes()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    table = read_table(str(path))
    np.testing.assert_array_equal(table.points, expected)
    np.testing.assert_array_equal(table.numbers, np.arange(1, 51))
    assert table.columns == (("1", "2", "3") if name.endswith(".npy") else ("x", "y", "z"))


def test_a_file_without_names_has_its_first_line_as_a_row(tmp_path):
    table = read_table(write(tmp_path / "a.csv", A[:30], names=None))
    assert (table.rows, table.named, table.columns) == (30, False, ("1", "2", "3"))
    # A missing value in the first line makes no names of the others.
    (tmp_path / "b.csv").write_text("1,,3\n4,5,6\n")
    assert read_table(str(tmp_path / "b.csv"), drop_missing=True).points.tolist() == [[4, 5, 6]]


def test_a_long_file_is_read_in_pieces_and_drawn_from_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ROWS", 1000)
    rows = np.stack([np.arange(20_500.0), np.ones(20_500)], axis=1)
    path = write(tmp_path / "long.csv", rows, names="row,one")
    table = read_table(path, at_most=2000, seed=(1,))
    assert (table.rows, len(table.points)) == (20_500, 2000)
    np.testing.assert_array_equal(table.points[:, 0], table.numbers - 1)
    # Uniform over the file, to four standard errors in each fifth of it.
    share = np.histogram(table.numbers, bins=5, range=(0, 20_500))[0] / 2000
    np.testing.assert_allclose(share, 0.2, atol=4 * np.sqrt(0.16 / 2000))
    again = read_table(path, at_most=2000, seed=(2,))
    assert set(again.numbers.tolist()) != set(table.numbers.tolist())


def peak_memory(path, **options):
    """Bytes that reading a file takes at most, of arrays and of Python's own."""
    tracemalloc.start()
    try:
        table = read_table(str(path), **options)
        return table, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_ten_million_rows_do_not_come_into_memory(tmp_path):
    path, n = tmp_path / "long.npy", 10_000_000
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, 2))
    rows[:, 0] = np.arange(n) // 1000
    rows.flush()
    table, peak = peak_memory(path)
    assert (table.rows, table.points.shape) == (n, (50_000, 2))
    np.testing.assert_array_equal(table.points[:, 0], (table.numbers - 1) // 1000)
    assert peak < 20_000_000  # the file has 80 million bytes, and twice that as float64


def test_memory_does_not_grow_with_the_lines_of_a_csv_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_ROWS", 1000)
    peaks = []
    for n in (10_000, 60_000):
        path = tmp_path / f"{n}.csv"
        path.write_text("x,y\n" + "".join(f"{i},{i / 7}\n" for i in range(n)))
        table, peak = peak_memory(path, at_most=500)
        assert table.rows == n
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]


def test_missing_values_are_counted_by_column(capsys, tmp_path):
    a = write(tmp_path / "a.csv", A)
    text = (tmp_path / "a.csv").read_text().splitlines()
    text[5], text[9], text[11] = "1,,2", "NaN,NA,0.5", "0,1,inf"
    (tmp_path / "b.csv").write_text("\n".join(text) + "\n")
    err = judged(capsys, a, str(tmp_path / "b.csv"), code=2)
    assert "b.csv has 4 missing, NaN or infinite cells, in 3 of 600 rows" in err
    assert "1 in x, 2 in y, 1 in z; fill them in" in err
    out = judged(capsys, a, str(tmp_path / "b.csv"), "--drop-missing", "--no-controls", code=3)
    assert "b.csv: 600 rows, 3 columns, 3 rows with missing values left out" in out
    kept = read_table(str(tmp_path / "b.csv"), drop_missing=True).numbers
    assert sorted(set(range(1, 601)) - set(kept.tolist())) == [5, 9, 11]


def make_empty(path):
    path.write_bytes(b"")


def make_names_only(path):
    path.write_text("x,y,z\n")


def make_text(path):
    write(path, A)
    path.write_text(path.read_text().replace("\n0.", "\nParis", 1))


def make_other_columns(path):
    write(path, A, names="x,y,w")


def make_fewer_columns(path):
    write(path, A[:, :2], names=None)


def make_ragged(path):
    write(path, A)
    path.write_text(path.read_text() + "1,2\n")


def make_binary(path):
    path.write_bytes(b"\xff\xfe\x00\xd8" * 50)


def make_short(path):
    write(path, A[:5])


def make_twice(path):
    write(path, A, names="x,y,x")


def make_folder(path):
    path.mkdir()


def make_nothing(path):
    del path


BAD = {
    make_nothing: r"b\.csv does not exist",
    make_folder: r"b\.csv is a folder; name a file in it",
    make_empty: r"b\.csv is empty",
    make_names_only: r"b\.csv has no rows of numbers",
    make_text: r"column x holds text, 'Paris\d+' in line \d+; turn it into numbers",
    make_other_columns: r"b\.csv has other columns than .*: it lacks z and has w that the other",
    make_fewer_columns: r"b\.csv has 2 columns, .*a\.csv has 3; give both the same",
    make_ragged: r"b\.csv has 2 cells in line 602, and 3 in the first",
    make_binary: r"b\.csv is no text in UTF-8",
    make_short: r"b\.csv has 5 rows to judge; the judge needs 20 or more",
    make_twice: r"b\.csv has several columns x; rename them",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__.removeprefix("make_"))
def test_a_bad_file_gets_a_message(capsys, tmp_path, make):
    a, b = write(tmp_path / "a.csv", A), tmp_path / "b.csv"
    make(b)
    with pytest.raises((ValueError, OSError), match=BAD[make]) as caught:
        judge_files(a, str(b))
    assert judged(capsys, a, str(b), code=2) == f"error: {caught.value}\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.npy", b"nothing of the kind", r"b\.npy is no NPY file of numbers"),
        ("b.npy", np.array(["a", "b"]), r"b\.npy holds <U1; the judge takes real numbers"),
        ("b.npy", np.array(3.0), r"b\.npy holds a single number"),
        ("b.npy", {"x": np.ones(3)}, r"b\.npy is an archive of arrays \(NPZ\); save the one"),
        ("b.csv", b",x\n0,1\n1,2\n", r"column 1 of .*b\.csv has no name; it may be a row index"),
        ("b.csv", b"x,y\n1_000,2\n", r"b\.csv: column x holds text, '1_000' in line 2"),
        ("b.npy", np.ones((3, 0)), r"b\.npy has no columns, shape \(3, 0\)"),
        ("b.csv.gz", b"plain", r"b\.csv\.gz is damaged"),
        (
            "b.csv.gz",
            gzip.compress(b"1,2\n" * 99, mtime=0)[:-9],
            r"b\.csv\.gz is damaged near line",
        ),
        ("b.csv", b'1,"' + b"2" * 200_000, r"b\.csv is damaged near line .*field larger"),
        ("b.xlsx", b"", r"b\.xlsx: unknown kind of file; its name must end in \.csv, "),
        ("b.parquet", b"no", r"b\.parquet is no Parquet file|b\.parquet needs pyarrow"),
    ],
)
def test_what_is_no_table(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        with path.open("wb") as file:
            np.savez(file, **content)
    else:
        np.save(path, content)
    with pytest.raises((ValueError, ImportError), match=message):
        read_table(str(path))


def test_text_in_parquet_is_refused(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = str(tmp_path / "c.parquet")
    columns = {"n": [1, None, 3], "flag": [True, None, False], "city": ["a", "b", None]}
    parquet.write_table(arrow.table(columns), path)
    with pytest.raises(ValueError, match="column city holds no numbers but string; turn it"):
        read_table(path)
    table = read_table(path, columns=["flag", "n"], drop_missing=True)
    np.testing.assert_array_equal(table.points, [[1.0, 1.0], [0.0, 3.0]])


def test_chosen_columns_are_some_and_each_is_there_once(tmp_path):
    path = write(tmp_path / "c.csv", A, names="x,x,y")
    with pytest.raises(ValueError, match=r"c\.csv has several columns x; rename them"):
        read_table(path, columns=["x"])
    with pytest.raises(ValueError, match="columns names none"):
        read_table(path, columns=[])


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "c.parquet").write_bytes(b"")
    with pytest.raises(ImportError, match=r"needs pyarrow\. Run: pip install pyarrow"):
        read_table(str(tmp_path / "c.parquet"))


def test_a_column_that_is_not_there(capsys, pair):
    err = judged(capsys, *pair, "--columns", "x,age", code=2)
    assert err == f"error: {pair[0]} has no column age; it has x, y, z\n"


def test_bad_options(capsys, pair):
    assert "tolerance must lie below 0.5" in judged(capsys, *pair, "--tolerance=2", code=2)
    assert "error: seed" in judged(capsys, *pair, "--seed=-1", code=2)
    assert "Format 'doc' is not supported" in judged(
        capsys, *pair, "--no-controls", "--picture=where.doc", code=2
    )
    missing = os.path.join("nowhere", "where.png")
    err = judged(capsys, *pair, "--no-controls", f"--picture={missing}", code=2)
    assert err == f"error: {missing}: No such file or directory\n"
    with pytest.raises(SystemExit) as stopped:
        main(["judge", *pair, "--columns=x,,y"])
    assert stopped.value.code == 2
    assert "'x,,y' does not name columns" in capsys.readouterr().err


def test_one_file_twice_is_no_comparison(capsys, pair):
    assert "are one file; the judge takes independent samples" in judged(
        capsys, pair[0], pair[0], code=2
    )


def test_telling_gives_each_column_its_share():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4000, 3))
    log_ratio = np.where(rng.random(4000) < 0.1, np.nan, 2 * points[:, 0] + points[:, 1])
    np.testing.assert_allclose(telling(points, log_ratio), [0.8, 0.2, 0.0], atol=0.03)
    # A column of one value, and two columns that tell only together.
    together = np.sign(points[:, 0] * points[:, 1])
    assert telling(np.c_[points[:, :2], np.ones(4000)], together).max() < 0.01
    np.testing.assert_array_equal(telling(points, np.zeros(4000)), 0.0)


def test_as_a_command(tmp_path):
    run = [sys.executable, "-m", "lrmf", "judge", "no.csv", "neither.csv"]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no.csv does not exist\n"
