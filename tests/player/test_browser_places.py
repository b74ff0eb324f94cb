"""The player in a real browser, wherever it stands: dark pages, notebooks, phones, paper.

In which browser says `test_browser`."""

import html
import re
import shutil

import numpy as np
import pytest
from player_reader import PHONE

from lrmf.player import Player
from lrmf.player.page import SCRIPTS, STATIC, STYLE


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
