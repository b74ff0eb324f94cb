"""The player in a real browser: it moves, it is moved, and it respects what the reader asked for.

Needs Chromium and its driver (Debian: ``apt-get install chromium-driver``). Where they are missing
these tests are skipped, in continuous integration too: unlike Node.js they take 400 MB.
"""

import shutil
import time

import browsing
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from lrmf.player import Player, Track


def test_it_plays_to_the_end_and_says_so(reader, player):
    reader.opens(player)
    end = reader.drawn()
    assert reader.step() == "step 500"
    reader.one(".lrmf-player button").click()
    seen = set()
    reader.until(lambda: seen.add(reader.drawn()) or len(seen) >= 5)
    assert reader.playing
    reader.until(lambda: not reader.playing)
    assert reader.step() == "step 500"
    assert reader.drawn() == end
    assert reader.one(".lrmf-player [role=status]").text.startswith("Paused at step 500 of 500")
    reader.one(".lrmf-player button").click()
    reader.until(lambda: 0 < reader.position() < 5)
    reader.one(".lrmf-player button").click()
    paused = reader.position()
    time.sleep(0.2)
    assert reader.position() == paused


def test_all_layers_move_together(reader, arrays):
    for name in ("points", "density", "grid", "ellipses"):
        rest = {key: arrays[key] for key in ("title", "steps", "extent")}
        still = np.repeat(arrays["points"][:1], 6, axis=0)
        track = Track(**rest | {"points": still} | {name: arrays[name]})
        reader.opens(Player([track], alt="x"))
        end = reader.drawn()
        reader.one(".lrmf-player input").click()  # in the middle
        assert reader.position() == pytest.approx(2.5, abs=0.1)
        assert reader.drawn() != end, name
    track = Track(**rest | {"points": still, "loss": arrays["loss"]})
    reader.opens(Player([track], alt="x"))
    loss = "return document.querySelector('.lrmf-player-loss').toDataURL()"
    end = reader.run(loss)
    reader.one(".lrmf-player input").click()
    assert reader.run(loss) != end


def test_it_plays_once_when_it_comes_into_view(reader, player):
    reader.wants(motion="no-preference")
    reader.opens(player)
    reader.until(lambda: reader.playing)
    reader.until(lambda: not reader.playing)
    assert reader.step() == "step 500"
    below = '<div style="height: 300vh">far above</div>'
    text = f"<!DOCTYPE html><body>{below}{player.html()}</body>"
    reader.opens(text)
    time.sleep(0.5)
    assert not reader.playing
    reader.run("document.querySelector('.lrmf-player').scrollIntoView()")
    reader.until(lambda: reader.playing)


def test_it_waits_where_the_author_or_the_reader_wants_it_to(reader, track, player):
    reader.opens(player)
    time.sleep(0.5)
    assert not reader.playing
    assert reader.step() == "step 500"
    reader.wants(motion="no-preference")
    reader.opens(Player([track], alt="x", autoplay=False, start=200))
    time.sleep(0.5)
    assert not reader.playing
    assert reader.step() == "step 200"


def test_it_stops_where_nobody_sees_it(reader, player):
    reader.opens(f'<!DOCTYPE html><body>{player.html()}<div style="height: 300vh"></div></body>')
    reader.one(".lrmf-player button").click()
    reader.until(lambda: reader.position() > 0)
    reader.run("window.scrollTo(0, document.body.scrollHeight)")
    reader.until(lambda: reader.position() == (time.sleep(0.5), reader.position())[1])
    away = reader.position()
    assert reader.playing
    reader.run("window.scrollTo(0, 0)")
    reader.until(lambda: reader.position() > away)
    assert reader.position() < away + 1.0  # it goes on from there


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_one_scrubs_along_the_loss(reader, player, kind):
    reader.opens(player)
    loss = reader.one(".lrmf-player-loss")
    width = loss.size["width"]
    shares = {step: (50 + step / 500 * (width - 68)) / width for step in (100, 250, 400)}
    with reader.pointer(kind, loss, shares[100]) as move:
        assert reader.position() == pytest.approx(1.0, abs=0.05)
        for step in (400, 250):
            move(shares[step])
            place = pytest.approx(step / 100, abs=0.05)
            reader.until(lambda place=place: reader.position() == place)
    before = reader.position()
    ActionChains(reader.driver).move_to_element(loss).perform()  # not pressed
    assert reader.position() == before


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_one_scrubs_along_the_slider(reader, player, kind):
    if kind == "touch":
        reader.tell("Emulation.setTouchEmulationEnabled", enabled=True)
    reader.opens(player)
    end = reader.drawn()
    slider = reader.one(".lrmf-player input")
    with reader.pointer(kind, slider, 0.75) as move:
        move(0.6)
        move(0.5)
        reader.until(lambda: reader.position() == pytest.approx(2.5, abs=0.15))
    assert reader.drawn() != end


def test_scrubbing_stops_the_play(reader, player):
    reader.opens(player)
    reader.one(".lrmf-player button").click()
    reader.one(".lrmf-player input").click()
    assert not reader.playing
    reader.one(".lrmf-player button").click()
    with reader.pointer("mouse", reader.one(".lrmf-player-loss"), 0.5):
        assert not reader.playing


def test_the_keyboard_reaches_everything(reader, player):
    reader.opens(player)
    reader.press(Keys.TAB)
    assert reader.driver.switch_to.active_element.tag_name == "button"
    reader.press(Keys.SPACE)
    assert reader.playing
    reader.press(Keys.ENTER)
    assert not reader.playing
    reader.press(Keys.TAB)
    slider = reader.driver.switch_to.active_element
    assert slider.tag_name == "input"
    assert slider.value_of_css_property("outline-style") == "solid"
    assert slider.value_of_css_property("outline-width") == "3px"
    places = {
        Keys.HOME: 0, Keys.ARROW_RIGHT: 1, Keys.ARROW_UP: 2, Keys.PAGE_UP: 3, Keys.END: 5,
        Keys.ARROW_LEFT: 4, Keys.ARROW_DOWN: 3, Keys.PAGE_DOWN: 2,
    }  # fmt: skip
    for key, place in places.items():
        reader.press(key)
        assert reader.position() == place
        assert slider.get_attribute("aria-valuetext").startswith(
            f"step {100 * place} of 500, loss "
        )
    reader.press(Keys.SPACE)
    assert reader.playing
    reader.press(Keys.ENTER)
    assert not reader.playing
    slider.click()  # between two frames
    assert 2 < reader.position() < 3
    reader.press(Keys.ARROW_LEFT)
    assert reader.position() == 2


def test_several_players_on_a_page_keep_out_of_each_others_way(reader, player, track):
    other = Player([track, track], alt="y", start=200)
    reader.opens(f"<!DOCTYPE html><body>{player.html()}<p>And</p>{other.html()}</body>")
    reader.until(lambda: len(reader.all(".lrmf-player[data-scheme]")) == 2)
    assert len(reader.all(".lrmf-player-plane")) == 3
    before = reader.drawn(0), reader.drawn(1), reader.drawn(2)
    reader.all(".lrmf-player button")[1].click()
    reader.until(lambda: reader.position(1) > 2.2)
    reader.all(".lrmf-player button")[1].click()
    assert reader.position(0) == 5
    assert reader.drawn(0) == before[0]
    assert reader.drawn(1) != before[1]
    assert reader.drawn(1) == reader.drawn(2)


def test_a_shorter_track_waits_at_its_end(reader, arrays):
    long = {"title": "long", "steps": 200 * np.arange(6), "points": arrays["points"]}
    tracks = [Track(**arrays), Track(**long, extent=arrays["extent"])]
    reader.opens(Player(tracks, alt="x"))
    reader.one(".lrmf-player input").send_keys(Keys.HOME)
    places = {}
    for step in (0, 100, 200, 300, 400, 500, 600, 800, 1000):
        assert reader.step() == f"step {step}"
        places[step] = reader.drawn(0), reader.drawn(1)
        reader.one(".lrmf-player input").send_keys(Keys.ARROW_RIGHT)
    assert places[500][0] == places[1000][0] != places[400][0]
    assert len({pictures[1] for pictures in places.values()}) == 9


def test_without_a_browser_the_skip_can_be_seen(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match="no Chromium with its driver here"):
        browsing.programs()
