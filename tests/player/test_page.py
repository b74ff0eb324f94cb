"""Players: what they refuse, what their HTML holds, and how much of it there is."""

import base64
import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import lrmf
from lrmf import plots
from lrmf.player import BUDGET, Player, Track
from lrmf.player.page import SCRIPTS, STATIC, STYLE


def test_it_asks_for_tracks_and_for_words(track):
    with pytest.raises(ValueError, match="list of tracks, at least one"):
        Player([], alt="x")
    with pytest.raises(ValueError, match="list of tracks"):
        Player(["track"], alt="x")
    for alt in ("", "  ", None):
        with pytest.raises(ValueError, match="alt=: what one sees"):
            Player([track], alt=alt)


def test_something_must_move():
    still = Track(title="still", steps=[0], points=np.zeros((1, 3, 2)))
    with pytest.raises(ValueError, match="nothing moves"):
        Player([still], alt="x")


def test_it_starts_at_a_step_that_there_is(track):
    assert Player([track], alt="x").start == 500
    assert Player([track], alt="x", start=150).start == 150
    with pytest.raises(ValueError, match="start must lie between the steps 0 and 500, got 501"):
        Player([track], alt="x", start=501)


def test_a_method_without_frames_stands_beside_one_that_moves(track):
    still = Track(title="closed form", steps=[0], points=track.points[-1:])
    assert Player([track, still], alt="x").steps.tolist() == track.steps.tolist()


def test_a_player_over_its_budget_says_how_to_shrink_it():
    rng = np.random.default_rng(0)
    large = Track(title="a", steps=range(50), points=rng.normal(size=(50, 2000, 2)))
    message = r"takes \d{3} kB, the budget is 200 kB; show fewer frames \(now 50\), fewer points "
    with pytest.raises(ValueError, match=message + r"\(now 2000\)"):
        Player([large], alt="x")
    player = Player([large], alt="x", budget=10**6)
    assert BUDGET < player.nbytes < 10**6


def test_the_defaults_hold_two_methods_within_the_budget(aligner):
    """Also where every point trembles, which deflates worse than what a flow does."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 2000, 2))

    class Trembling:
        def forward(self, x):
            return x + rng.normal(size=x.shape) / 50, np.zeros(len(x))

    aligner.snapshots_ = [(step, Trembling(), density) for step, _, density in aligner.snapshots_]
    track = Track.from_aligner(aligner, source, target, title="a", labels=source[:, 0] > 0)
    assert track.points.shape == (24, 300, 2)
    assert Player([track, track], alt="x").nbytes < BUDGET


def test_its_size_is_that_of_its_html(track):
    player = Player([track], alt="x")
    assert player.nbytes == len(player.html().encode("utf8"))
    assert f"{player.nbytes / 1000:.0f} kB" in repr(player)


class Reader(HTMLParser):
    """Collects the attributes of each element, and checks that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_words_with_marks_stay_words(arrays):
    words = "A <b>\"bold\"</b> & 'single' </script> move"
    track = Track(**arrays | {"title": words})
    player = Player([track], alt=words, caption=words)
    found = Reader(player.html()).found
    assert ("b", {}) not in found
    (stage,) = [attributes for _, attributes in found if attributes.get("role") == "img"]
    assert stage["aria-label"] == words
    assert html.unescape(player.html()).count(words) == 3


def test_it_needs_no_other_host_and_no_kernel(track):
    text = Player([track], alt="x").html()
    assert "://" not in text
    for tag, attributes in Reader(text).found:
        assert "src" not in attributes
        assert (
            not attributes.get("href", "data:").partition(",")[0].partition(":")[2].startswith("/")
        )
        assert tag not in ("link", "iframe", "object")


def test_a_page_of_the_book_brings_script_and_style_itself(track, monkeypatch):
    player = Player([track], alt="x")
    monkeypatch.delenv("LRMF_PLAYER_ON_PAGE", raising=False)
    assert player._repr_html_() == player.html()
    assert "<script>" in player.html()
    monkeypatch.setenv("LRMF_PLAYER_ON_PAGE", "1")
    assert player._repr_html_() == player.html(script=False)
    assert "<script>" not in player.html(script=False)
    assert "<style>" not in player.html(script=False)
    assert all((STATIC / name).is_file() for name in (STYLE, *SCRIPTS))


def test_it_saves_a_page_of_its_own(track, tmp_path):
    player = Player([track], alt="x")
    player.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf8")
    assert text.startswith("<!DOCTYPE html>")
    assert player.html() in text
    assert "<title>LRMF</title>" in text
    Reader(text)


def picture(text):
    """The density of a still, as an array of grey values."""
    from PIL import Image

    data = re.search(r'href="data:image/png;base64,([^"]*)"', text)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_without_scripts_one_sees_the_start_frame(arrays):
    heights = np.full((6, 12, 12), 0.1)
    heights[3, 2, 9] = 5.0  # low on the second axis, far along the first
    track = Track(**arrays | {"density": heights})
    text = Player([track], alt="x", start=350).html(script=False)
    assert "LRMF, step 300" in text
    grey = picture(text)
    assert grey.shape == (12, 12)
    assert np.unravel_index(grey.argmin(), grey.shape) == (12 - 1 - 2, 9)
    # One stroke for each point, in the colours of the classes and of the quiet target.
    strokes = {
        color: path.count("h0")
        for path, color in re.findall(r'd="(M[^"]*h0)" stroke="(.*?)"', text)
    }
    assert strokes == {"#0077BB": 20, "#EE7733": 20, "#AAAAAA": 30}
    curves = re.findall(r'fill="none" stroke="([^"]*)" stroke-width="4"', text)
    assert curves == [plots.COLORS["transformed"], plots.COLORS["target"]]


def test_points_of_the_still_stand_where_the_data_are():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
    track = Track(
        title="a", steps=[0, 1], points=np.stack([points, points]), extent=(0.0, 1.0, 0.0, 2.0)
    )
    text = Player([track], alt="x").html(script=False)
    assert 'd="M0 460h0M230 460h0M230 0h0"' in text


def test_the_package_offers_it_lazily():
    assert lrmf.player.Player is Player
    assert lrmf.player.Track is Track
