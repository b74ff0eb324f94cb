import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from official_files import idx_file, usps_file
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import lrmf
from lrmf.data import digits
from lrmf.data.digits import FallbackWarning
from lrmf.data.fetch import DATA_DIR_VARIABLE, DataUnavailableError
from lrmf.data.notice import StandInNotice


@pytest.fixture
def served(server, cache, small_digits):
    """Serve made-up digits in the official formats; nothing is cached yet."""
    for name, content in small_digits.files.items():
        server.serve(name, content)
    return server


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["usps", "mnist"])
def test_each_dataset_and_split(served, small_digits, name, split):
    found = getattr(lrmf.data, name)(split=split)
    images, labels = getattr(small_digits, name)[split]
    assert found.images.dtype == np.float32
    assert found.labels.dtype == np.int64
    np.testing.assert_allclose(found.images, images / 255, rtol=1e-6)
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.images.min(), found.images.max()) == (0, 1)
    assert (found.name, found.split) == (name, split)
    assert repr(found) == f"Digits({name!r}, split={split!r}, images={images.shape})"


def test_only_the_files_of_the_split_are_downloaded(served):
    lrmf.data.mnist(split="test")
    assert served.asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize("load", [lrmf.data.usps, lrmf.data.mnist, lrmf.data.digits_pair])
def test_unknown_split(load):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'validation'"):
        load(split="validation")


@pytest.mark.parametrize("load", [lrmf.data.usps, lrmf.data.mnist])
@pytest.mark.parametrize("split", ["train", "test"])
def test_offline_and_nothing_cached(no_network, cache, load, split):
    with pytest.raises(DataUnavailableError, match="set LRMF_DATA_DIR to a folder which holds"):
        load(split=split)


def test_the_pair(served, small_digits):
    pairs = {split: lrmf.data.digits_pair(split=split) for split in ("train", "test")}
    for split, pair in pairs.items():
        images, labels = small_digits.usps[split]
        np.testing.assert_allclose(pair.source, images / 255, rtol=1e-6)
        np.testing.assert_array_equal(pair.source_labels, labels)
        assert pair.target.shape == ({"train": 80, "test": 20}[split], 16, 16)
        assert pair.target.dtype == np.float32
        assert pair.target.min() >= 0
        assert pair.target.max() <= 1
        assert pair.name == "usps-mnist"
        assert not pair.fallback
    # Ten of each digit: eight for training and two for testing.
    assert np.bincount(pairs["train"].target_labels).tolist() == [8] * 10
    assert np.bincount(pairs["test"].target_labels).tolist() == [2] * 10
    assert "train-images-idx3-ubyte.gz" not in served.asked


def test_the_two_parts_of_t10k_are_disjoint_and_complete(served, small_digits):
    parts = [
        lrmf.data.digits_pair(split=split, size=28).target.reshape(-1, 784)
        for split in ("train", "test")
    ]
    together = np.concatenate(parts)
    everything = (small_digits.mnist["test"][0] / np.float32(255)).reshape(-1, 784)
    assert len(np.unique(together, axis=0)) == 100
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(everything, axis=0))


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_official_split_of_mnist(served, small_digits, split):
    pair = lrmf.data.digits_pair(split=split, size=28, mnist_split="official")
    images, labels = small_digits.mnist[split]
    np.testing.assert_allclose(pair.target, images / 255, rtol=1e-6)
    np.testing.assert_array_equal(pair.target_labels, labels)
    assert pair.source.shape == (*small_digits.usps[split][1].shape, 28, 28)


def test_flattening(served):
    pair = lrmf.data.digits_pair(split="test")
    flat = pair.flatten()
    assert flat.source.shape == (40, 256)
    np.testing.assert_array_equal(flat.target.reshape(-1, 16, 16), pair.target)
    np.testing.assert_array_equal(flat.target_labels, pair.target_labels)
    assert flat.name == pair.name


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 3}, ValueError, "size must be at least 4 pixels .* got 3"),
        ({"size": 16.0}, TypeError, "size must be an integer, got 16.0"),
        ({"size": True}, TypeError, "size must be an integer, got True"),
        ({"mnist_split": "60k"}, ValueError, "mnist_split must be 't10k' or 'official', got '60k'"),
    ],
)
def test_bad_arguments_of_the_pair(arguments, error, message):
    with pytest.raises(error, match=message):
        lrmf.data.digits_pair(**arguments)


# Stand-ins


def fall_back(**arguments) -> lrmf.data.Pair:
    with pytest.warns(FallbackWarning, match="stand in for USPS and MNIST: cannot download"):
        return lrmf.data.digits_pair(**arguments)


def test_the_stand_ins(no_network, cache):
    pairs = {split: fall_back(split=split) for split in ("train", "test")}
    for split, pair in pairs.items():
        assert pair.fallback
        assert pair.name == "sklearn-digits"
        assert "fallback=True" in repr(pair)
        least = {"train": 70, "test": 17}[split]
        for images, labels in [
            (pair.source, pair.source_labels),
            (pair.target, pair.target_labels),
        ]:
            assert images.shape == (len(labels), 16, 16)
            assert images.dtype == np.float32
            assert images.min() == 0
            assert 0.99 < images.max() <= 1
            # Every digit is as frequent in all four parts.
            assert np.bincount(labels).min() >= least
            assert np.bincount(labels).max() <= least + 4
    total = sum(len(p.source) + len(p.target) for p in pairs.values())
    assert total == len(load_digits().target)


def test_the_stand_ins_differ_as_announced(no_network, cache):
    pair = fall_back()
    # More ink, and leaning to the right: rows further up have their centre further right.
    assert pair.target.mean() > 1.2 * pair.source.mean()
    leaning = {}
    for name, images in [("source", pair.source), ("target", pair.target)]:
        mean_image = images.mean(axis=0)
        centres = mean_image @ np.arange(16) / mean_image.sum(axis=1)
        leaning[name] = -np.polyfit(np.arange(16), centres, deg=1)[0]
    assert leaning["target"] - leaning["source"] > 0.1


def test_the_stand_ins_keep_their_labels_and_are_a_task(no_network, cache):
    pair = fall_back().flatten()
    within = KNeighborsClassifier(1).fit(pair.target[::2], pair.target_labels[::2])
    assert within.score(pair.target[1::2], pair.target_labels[1::2]) > 0.9
    across = KNeighborsClassifier(1).fit(pair.target, pair.target_labels)
    assert 0.5 < across.score(pair.source, pair.source_labels) < 0.9


def test_no_image_stands_in_twice(no_network, cache, monkeypatch):
    monkeypatch.setattr(digits, "slant", lambda images, slope: images)
    monkeypatch.setattr(digits, "thicken", lambda images: images)
    pairs = [fall_back(split=split).flatten() for split in ("train", "test")]
    everything = np.concatenate([x for pair in pairs for x in (pair.source, pair.target)])
    assert len(np.unique(everything, axis=0)) == len(np.unique(load_digits().data, axis=0)) == 1797


def test_the_notice_points_at_the_caller(no_network, cache):
    with pytest.warns(FallbackWarning) as caught:
        lrmf.data.digits_pair()
    assert caught[0].filename == __file__


def test_no_stand_ins_where_they_are_not_wanted(no_network, cache):
    with pytest.raises(DataUnavailableError, match="set LRMF_DATA_DIR"):
        lrmf.data.digits_pair(fallback=False)


def test_both_parts_are_real_or_neither(served, cache):
    del served.replies["zip.test.gz"]
    with pytest.warns(FallbackWarning):
        train, test = (lrmf.data.digits_pair(split=split) for split in ("train", "test"))
    assert train.fallback
    assert test.fallback
    with pytest.raises(DataUnavailableError, match=r"zip\.test\.gz"):
        lrmf.data.digits_pair(fallback=False)


def test_stand_ins_when_only_one_of_the_two_can_be_had(served, cache):
    del served.replies["t10k-images-idx3-ubyte.gz"]
    assert fall_back().name == "sklearn-digits"


def folder_that_is_a_file(folder):
    folder.rmdir()
    folder.write_text("mine")


def folder_that_is_gone(folder):
    folder.rmdir()


def damaged_archive(folder):
    (folder / "usps.npz").write_bytes(b"damaged")


def damaged_official_file(folder):
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (folder_that_is_a_file, "is not a folder; set it to the absolute path"),
        (folder_that_is_gone, "is not a folder; set it to the absolute path"),
        (damaged_archive, r"usps\.npz is damaged .* Replace it, or remove it"),
        (damaged_official_file, r"t10k-images-idx3-ubyte\.gz is damaged .* Replace it, or remove"),
    ],
)
def test_a_data_folder_that_cannot_be_used(served, data_dir, spoil, message):
    """It is no failure of the book, and it is not passed over for a download either."""
    spoil(data_dir)
    with pytest.warns(FallbackWarning, match=f"stand in for USPS and MNIST: .*{message}"):
        pair = lrmf.data.digits_pair()
    assert pair.fallback
    assert pair.reason == "LRMF_DATA_DIR is not a folder, or a file in it is damaged"
    with pytest.raises(ValueError, match=message):
        lrmf.data.digits_pair(fallback=False)


def test_a_data_folder_that_lacks_the_files_falls_through_to_the_mirrors(served, data_dir):
    assert not lrmf.data.digits_pair().fallback


def test_a_data_folder_that_lacks_the_files_and_no_network(no_network, data_dir):
    assert fall_back().reason == "no host delivered them"


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"", b"damaged"])
def test_mirrors_that_deliver_something_else(served, cache, body):
    served.serve("zip.train.gz", body)
    assert fall_back().reason == "no host delivered them"
    with pytest.raises(DataUnavailableError, match=r"Tried.*: zip\.train\.gz from 127\.0\.0\.1:"):
        lrmf.data.digits_pair(fallback=False)


def test_a_damaged_cache_and_no_network(no_network, cache):
    cache.mkdir()
    (cache / "zip.train.gz").write_bytes(b"damaged")
    with pytest.warns(FallbackWarning, match=r"the damaged zip\.train\.gz is in the cache folder"):
        assert lrmf.data.digits_pair().fallback


def test_a_cache_that_cannot_be_written_is_no_reason_to_fall_back(served, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("mine")
    monkeypatch.setenv("LRMF_CACHE_DIR", str(tmp_path / "taken"))
    assert not lrmf.data.digits_pair().fallback


def test_an_error_in_an_argument_is_none_of_the_data(no_network, cache):
    with pytest.raises(ValueError, match="size must be at least 4"):
        lrmf.data.digits_pair(size=3, fallback=True)


# The notice of a page


def test_real_data_need_no_notice(served):
    pair = lrmf.data.digits_pair()
    assert pair.notice is None
    assert pair.flatten().notice is None
    assert lrmf.data.moons(n=10).notice is None


def test_the_notice_of_the_stand_ins(no_network, cache):
    pair = fall_back()
    for notice in (pair.notice, pair.flatten().notice):
        text, page = repr(notice), notice._repr_html_()
        for part in ["scikit-learn", "(no host delivered them)", "LRMF_DATA_DIR", "mnist_t10k.npz"]:
            assert part in text
            assert part in page
        assert text.count(". ") == 2  # a title and two sentences
        assert str(cache) not in page


def test_the_notice_as_html():
    page = StandInNotice("<b>&</b>")._repr_html_()
    root = ElementTree.fromstring(page)  # well-formed
    assert root.attrib["class"].split() == ["admonition", "warning", "lrmf-stand-in"]
    assert root.attrib["role"] == "note"
    assert "border: 1px solid currentColor" in root.attrib["style"]
    assert "background" not in root.attrib["style"]
    assert "".join(root.itertext()).count("(<b>&</b>)") == 1
    assert "could not be had; the saved" in repr(StandInNotice())


# The real data


@pytest.fixture
def real(real_data, tmp_path, no_network, monkeypatch):
    monkeypatch.setenv(DATA_DIR_VARIABLE, str(real_data))
    monkeypatch.setenv("LRMF_CACHE_DIR", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield tmp_path / "cache"
    # At most the memory that a download failed.
    assert [path.suffix for path in (tmp_path / "cache").rglob("*")] in ([], [".json"])


def test_real_usps(real):
    train, test = lrmf.data.usps(), lrmf.data.usps(split="test")
    assert train.images.shape == (7291, 16, 16)
    assert test.images.shape == (2007, 16, 16)
    # The counts that the data's own description gives.
    expected = [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert np.bincount(train.labels).tolist() == expected
    expected = [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    assert np.bincount(test.labels).tolist() == expected


def test_real_mnist(real):
    test = lrmf.data.mnist(split="test")
    assert test.images.shape == (10_000, 28, 28)
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    with pytest.raises(DataUnavailableError, match=r"train-images-idx3-ubyte\.gz"):
        lrmf.data.mnist()


@pytest.mark.parametrize(("split", "sizes"), [("train", (7291, 8004)), ("test", (2007, 1996))])
@pytest.mark.parametrize("size", [16, 28])
def test_real_pair(real, split, sizes, size):
    pair = lrmf.data.digits_pair(split=split, size=size)
    assert (pair.name, pair.fallback) == ("usps-mnist", False)
    for images, labels, n in [
        (pair.source, pair.source_labels, sizes[0]),
        (pair.target, pair.target_labels, sizes[1]),
    ]:
        assert images.shape == (n, size, size)
        assert labels.shape == (n,)
        assert images.min() == 0
        assert 0.98 < images.max() <= 1
    # USPS fills its frame, MNIST has a margin.
    assert pair.source[:, 0].mean() > 0.1
    assert pair.target[:, 0].mean() < 0.01


def test_real_digits_survive_the_resizing(real):
    train = lrmf.data.digits_pair().flatten()
    test = lrmf.data.digits_pair(split="test").flatten()
    classifier = KNeighborsClassifier(1).fit(train.target, train.target_labels)
    assert classifier.score(test.target, test.target_labels) > 0.94
    assert classifier.score(test.source, test.source_labels) < 0.7


def test_the_real_pair_by_download_equals_the_one_from_the_data_folder(
    real, real_data, tmp_path, monkeypatch, request
):
    here = lrmf.data.digits_pair(split="test")
    server = request.getfixturevalue("server")
    usps = np.load(real_data / "usps.npz", allow_pickle=False)
    mnist = np.load(real_data / "mnist_t10k.npz", allow_pickle=False)
    for part in ("train", "test"):
        server.serve(f"zip.{part}.gz", usps_file(usps[f"x_{part}"], usps[f"y_{part}"]))
    server.serve("t10k-images-idx3-ubyte.gz", idx_file(mnist["x_test"]))
    server.serve("t10k-labels-idx1-ubyte.gz", idx_file(mnist["y_test"]))
    monkeypatch.delenv(DATA_DIR_VARIABLE)
    monkeypatch.setenv("LRMF_CACHE_DIR", str(tmp_path / "downloads"))
    there = lrmf.data.digits_pair(split="test", fallback=False)
    assert len(server.asked) == 4
    np.testing.assert_array_equal(here.source, there.source)
    np.testing.assert_array_equal(here.target, there.target)
    np.testing.assert_array_equal(here.source_labels, there.source_labels)
    np.testing.assert_array_equal(here.target_labels, there.target_labels)
