"""The player in a real browser: it moves, it is moved, and it respects what the reader asked for.

Needs Chromium and its driver (Debian: ``apt-get install chromium-driver``). Where they are missing
these tests are skipped, in continuous integration too: unlike Node.js they take 400 MB.
"""

import html
import io
import re
import shutil
import time
from contextlib import contextmanager

import browsing
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from lrmf.player import Player, Track
from lrmf.player.page import SCRIPTS, STATIC, STYLE

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@pytest.fixture(scope="module")
def chromium():
    with browsing.chromium() as running:
        yield running


@pytest.fixture
def reader(chromium, tmp_path):
    """A reader with a browser, offline; afterwards the console must be empty."""
    reader = Reader(chromium, tmp_path)
    yield reader
    reader.forget()
    assert chromium.get_log("browser") == []


class Reader:
    """Opens pages and looks at them."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder
        driver.get_log("browser")
        self.tell("Network.enable")
        network = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.tell("Network.emulateNetworkConditions", **network)
        self.wants()

    def tell(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def wants(self, *, scheme="light", motion="reduce"):
        """Say which colours and how much motion the reader asks for."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        listed = [{"name": name, "value": value} for name, value in features.items()]
        self.tell("Emulation.setEmulatedMedia", features=listed)

    def opens(self, text, *, ready=".lrmf-player[data-scheme]"):
        """Open a page from a file, and wait until its player is there."""
        if isinstance(text, Player):
            text.save(self.folder / "page.html")
        else:
            (self.folder / "page.html").write_text(text, encoding="utf8")
        self.driver.get((self.folder / "page.html").as_uri())
        if ready:
            self.until(lambda: self.all(ready))
        return self

    def forget(self):
        self.tell("Emulation.clearDeviceMetricsOverride")
        self.tell("Emulation.setTouchEmulationEnabled", enabled=False)
        self.tell("Emulation.setScriptExecutionDisabled", value=False)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.all(selector)[0]

    def run(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, condition, seconds=20):
        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: condition())

    def picture(self, selector=None):
        """What one sees, as an array of colours."""
        from PIL import Image

        target = self.driver if selector is None else self.one(selector)
        data = target.get_screenshot_as_png() if selector is None else target.screenshot_as_png
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def drawn(self, place=0):
        """The pixels of a panel, as text: another text, another picture."""
        return self.run(
            "return document.querySelectorAll('.lrmf-player-plane')[arguments[0]].toDataURL()",
            place,
        )

    def position(self, place=0):
        return float(self.all(".lrmf-player input")[place].get_property("value"))

    def step(self, place=0):
        return self.all(".lrmf-player output")[place].text

    @property
    def playing(self):
        return self.one(".lrmf-player button").get_attribute("aria-label") == "Pause"

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    @contextmanager
    def pointer(self, kind, element, share):
        """Press at a share of the width of an element; yields a function that drags to another."""
        rectangle = self.run(
            "arguments[0].scrollIntoView({block: 'center'});"
            "const r = arguments[0].getBoundingClientRect();"
            "return [r.x, r.y + r.height / 2, r.width]",
            element,
        )
        x, y, width = rectangle
        at = {"x": x + share * width, "y": y}

        def mouse(event):
            button = {"button": "left", "buttons": 1, "clickCount": 1}
            self.tell("Input.dispatchMouseEvent", type=f"mouse{event}", **at, **button)

        def finger(event):
            points = [] if event == "Released" else [at]
            names = {"Pressed": "Start", "Moved": "Move", "Released": "End"}
            self.tell("Input.dispatchTouchEvent", type=f"touch{names[event]}", touchPoints=points)

        use = {"mouse": mouse, "touch": finger}[kind]

        def move(to):
            at["x"] = x + to * width
            use("Moved")

        use("Pressed")
        yield move
        use("Released")


@pytest.fixture
def player(track):
    return Player([track], alt="A cloud moves onto another.")


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


def brightness(picture):
    """From 0 to 255; most of what one sees is the card."""
    return np.median(picture)


def test_it_is_dark_where_the_page_is(reader, player):
    reader.opens(player)
    assert brightness(reader.picture(".lrmf-player")) == 255
    light = reader.drawn()
    reader.wants(scheme="dark")
    reader.until(lambda: reader.drawn() != light)
    assert brightness(reader.picture(".lrmf-player")) < 64
    # The page's own word counts more than the system's: the book, Colab, JupyterLab.
    words = {
        "document.documentElement.dataset.theme = 'light'": "light",
        "document.documentElement.dataset.theme = 'dark'": "dark",
        "delete document.documentElement.dataset.theme;"
        "document.documentElement.setAttribute('theme', 'light')": "light",
        "document.documentElement.removeAttribute('theme');"
        "document.body.dataset.jpThemeLight = 'false'": "dark",
        "document.body.dataset.jpThemeLight = 'true'": "light",
    }
    for code, scheme in words.items():
        reader.run(code)
        card = f".lrmf-player[data-scheme={scheme}]"
        reader.until(lambda card=card: reader.all(card))
        assert (brightness(reader.picture(".lrmf-player")) < 64) == (scheme == "dark")


@pytest.mark.parametrize(("color", "scheme"), [("#111", "dark"), ("#fff", "light")])
def test_it_looks_at_what_is_behind_it(reader, player, color, scheme):
    reader.wants(scheme={"dark": "light", "light": "dark"}[scheme])
    reader.opens(f'<!DOCTYPE html><body style="background: {color}">{player.html()}</body>')
    assert reader.one(".lrmf-player").get_attribute("data-scheme") == scheme


def luminance(color):
    """Relative luminance as WCAG defines it."""
    if color[0] == "#":
        parts = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    else:
        parts = np.array(re.findall(r"\d+", color)[:3], dtype=float) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_text_and_lines_stand_out_in_light_and_dark(reader, player):
    for scheme in ("light", "dark"):
        reader.wants(scheme=scheme)
        reader.opens(player)
        colors = reader.run("return lrmfPlayer.palette(arguments[0])", scheme)
        card = reader.one(".lrmf-player").value_of_css_property("background-color")
        for name, least in (("text", 7), ("line", 3), ("shared", 4.5)):
            dark, light = sorted([luminance(colors[name]), luminance(card)])
            assert (light + 0.05) / (dark + 0.05) > least, (scheme, name)


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


def test_it_plays_in_a_sandbox_as_the_outputs_of_colab_do(reader, player):
    frame = html.escape(f'<!DOCTYPE html><html theme="dark"><body>{player.html()}</body></html>')
    # What the reader asks for does not reach the frame in this imitation, so it plays by itself.
    reader.wants(motion="no-preference")
    reader.opens(
        f'<!DOCTYPE html><iframe sandbox="allow-scripts" width="900" height="700" '
        f'srcdoc="{frame}"></iframe>',
        ready=None,
    )
    reader.driver.switch_to.frame(0)
    reader.until(lambda: reader.all(".lrmf-player[data-scheme=dark]"))
    reader.until(lambda: reader.playing)
    seen = set()
    reader.until(lambda: seen.add(reader.drawn()) or len(seen) >= 3)
    reader.one(".lrmf-player button").click()
    assert not reader.playing
    reader.driver.switch_to.default_content()


def test_it_runs_where_a_notebook_inserts_it(reader, player):
    """JupyterLab sets the HTML and then makes its scripts anew."""
    reader.opens("<!DOCTYPE html><body></body>", ready=None)
    reader.run(
        """
        const host = document.createElement("div");
        host.innerHTML = arguments[0];
        for (const old of host.querySelectorAll("script")) {
          const made = document.createElement("script");
          made.textContent = old.textContent;
          old.replaceWith(made);
        }
        document.body.append(host);
        """,
        player.html(),
    )
    reader.until(lambda: reader.all(".lrmf-player[data-scheme]"))
    reader.one(".lrmf-player button").click()
    reader.until(lambda: reader.position() > 1)


def test_it_runs_with_the_scripts_of_a_page(reader, player):
    for name in (STYLE, *SCRIPTS):
        shutil.copy(STATIC / name, reader.folder)
    scripts = "".join(f'<script defer src="{name}"></script>' for name in SCRIPTS)
    head = f'<link rel="stylesheet" href="{STYLE}">{scripts}'
    body = player.html(script=False)
    reader.opens(f"<!DOCTYPE html><head>{head}</head><body>{body}</body>")
    assert reader.step() == "step 500"


def test_it_fits_on_a_phone(reader, track):
    reader.tell("Emulation.setDeviceMetricsOverride", **PHONE)
    reader.opens(Player([track, track, track], alt="x"))
    assert reader.run("return document.documentElement.scrollWidth") <= 390
    panels = reader.all(".lrmf-player-panels > div")
    assert len({panel.location["x"] for panel in panels}) == 1
    assert all(panel.size["width"] > 300 for panel in panels)
    # The controls are in view although the panels are taller than the window.
    bottom = "return arguments[0].getBoundingClientRect().bottom"
    assert reader.run(bottom, panels[-1]) > 844
    for control in reader.all(".lrmf-player button, .lrmf-player input"):
        assert control.size["height"] >= 44
        assert control.size["width"] >= 44
        assert reader.run(bottom, control) <= 844
    assert reader.one(".lrmf-player-loss").size["height"] >= 44


def shapes(reader):
    """Height over width of each canvas, as it is shown and as it was drawn."""
    return np.array(
        reader.run(
            "return [...document.querySelectorAll('.lrmf-player-panels canvas')].map("
            "(c) => [c.clientHeight / c.clientWidth, c.height / c.width])"
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_one_sees_the_last_frame_and_no_controls(reader, track, scheme):
    reader.wants(scheme=scheme)
    reader.opens(Player([track, track], alt="x", autoplay=False, start=200))
    before = reader.drawn()
    reader.one(".lrmf-player button").click()
    reader.until(lambda: reader.drawn() != before)
    reader.run(
        "const output = document.querySelector('.lrmf-player output');"
        "const data = document.querySelector('.lrmf-player').dataset;"
        "window.seen = [];"
        "addEventListener('beforeprint', () => seen.push([output.textContent, data.scheme]))"
    )
    reader.tell("Page.printToPDF", paperWidth=4.0)
    assert reader.run("return window.seen") == [["step 500", "light"]]
    assert not reader.playing
    assert 200 < 100 * reader.position() < 500
    assert reader.one(".lrmf-player").get_attribute("data-scheme") == scheme

    reader.tell("Emulation.setEmulatedMedia", media="print")
    reader.tell("Emulation.setDeviceMetricsOverride", **PHONE)
    try:
        assert not reader.one(".lrmf-player-controls").is_displayed()
        shown, drawn = shapes(reader).T
        np.testing.assert_allclose(shown, drawn, rtol=0.02)
    finally:
        reader.tell("Emulation.setEmulatedMedia", media="")


def test_those_who_cannot_see_it_hear_what_it_shows(reader, player):
    reader.opens(player)
    tree = reader.tell("Accessibility.getFullAXTree")["nodes"]
    spoken = {
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in tree
        if not node.get("ignored") and "role" in node
    }
    assert ("image", "A cloud moves onto another.") in spoken
    assert ("group", "Training animation") in spoken
    assert ("button", "Play") in spoken
    assert ("slider", "Training step") in spoken
    assert (
        reader.one(".lrmf-player input").get_attribute("aria-valuetext").startswith("step 500 of")
    )


def test_without_scripts_there_is_a_picture(reader, player):
    reader.tell("Emulation.setScriptExecutionDisabled", value=True)
    reader.opens(player, ready=None)
    picture = reader.picture()
    colored = np.ptp(picture, axis=2) > 60
    assert colored.mean() > 0.002
    reader.forget()
    reader.opens(player)  # the browser is as before


def test_without_a_browser_the_skip_can_be_seen(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(pytest.skip.Exception, match="no Chromium with its driver here"):
        browsing.programs()
