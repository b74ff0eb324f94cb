"""The turntable: its arrays, its drawing under Node.js, and in a browser; and what it refuses."""

import re

import browsing
import javascript
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import lrmf
from lrmf._plot_mesh import INSIDE, camera, shading
from lrmf.player import Turntable
from lrmf.player.page import STATIC
from lrmf.plots import part_colors

SCRIPT = STATIC / "turntable.js"
DECODE = """
const script = require(process.argv[1]);
const frames = require(process.argv[1].replace("turntable", "player_frames"));
const [text] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bytes = require("zlib").inflateSync(Buffer.from(text, "base64"));
const data = script.meshes(new Uint8Array(bytes), frames);
const plain = (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
console.log(JSON.stringify(data, plain));
"""
DRAW = """
const script = require(process.argv[1]);
const [mesh, ...rest] = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(Array.from(script.picture(mesh, ...rest))));
"""


@pytest.fixture(scope="module")
def animal():
    return lrmf.data.quadrupeds(n=600).source


@pytest.fixture(scope="module")
def table(animal):
    other = animal.moved(animal.vertices[:, [1, 0, 2]])
    meshes = {"A": animal, "T(A) <b>": other}
    return Turntable(meshes, alt='Two "animals".', colors={"T(A) <b>": "#33BBEE"})


def decoded(table):
    text = re.search(r'data-meshes="([^"]*)"', table.html())[1]
    return javascript.call(SCRIPT, text, run=DECODE)


def test_the_script_reads_what_the_library_wrote(animal, table):
    read = decoded(table)
    assert read["view"] == [-60.0, 15.0]
    assert [mesh["title"] for mesh in read["meshes"]] == ["A", "T(A) <b>"]
    first, second = read["meshes"]
    np.testing.assert_array_equal(np.reshape(first["faces"], (-1, 3)), animal.faces)
    assert first["faces"] == second["faces"]
    found = np.reshape(first["vertices"], (-1, 3))
    middle = (animal.vertices.min(axis=0) + animal.vertices.max(axis=0)) / 2
    width = np.ptp(animal.vertices, axis=0)
    assert (np.abs(found + middle - animal.vertices) <= 0.51 * width / (2**11 - 1)).all()
    assert np.abs(np.reshape(first["colors"], (-1, 3)) - part_colors(animal)).max() < 0.01
    assert np.allclose(np.reshape(second["colors"], (-1, 3)), [0.2, 0.73, 0.93], atol=0.01)


def test_what_meshes_share_is_written_once(animal, table):
    alone = Turntable({"A": animal}, alt="x")
    faces = 4 / 3 * 0.5 * animal.faces.size  # bytes, at least
    assert len(table.html(script=False)) < 2 * len(alone.html(script=False)) - faces


def test_the_view_is_the_one_of_the_figures():
    for view in ((-60.0, 15.0), (200.0, -80.0)):
        (found,) = javascript.call(SCRIPT, ["camera", *view])
        np.testing.assert_allclose(found, camera(*view), atol=1e-12)


def test_faces_are_as_bright_as_in_the_figures(animal):
    seen = animal.vertices @ camera(-60.0, 15.0).T
    bright, outside = shading(seen, animal.faces)
    some = np.arange(0, len(animal.faces), 40)
    flat = seen.ravel().tolist()
    found = javascript.call(SCRIPT, *(["shade", flat, *animal.faces[f].tolist()] for f in some))
    expected = bright * np.where(outside, 1.0, INSIDE)
    np.testing.assert_allclose(found, expected[some], atol=1e-9)
    assert outside[some].any()
    assert not outside[some].all()


def test_the_nearer_triangle_hides_the_farther_one():
    """Red at height 1 in front of green at 0, seen from above; the corner is empty."""
    vertices = [-1, -1, 0, 1, -1, 0, 0, 1, 0, -0.2, -0.5, 1, 0.2, -0.5, 1, 0, 0, 1]
    mesh = {"vertices": vertices, "faces": [3, 4, 5, 0, 1, 2],
            "colors": [0, 1, 0] * 3 + [1, 0, 0] * 3}  # fmt: skip
    size = 64
    pixels = javascript.call(SCRIPT, mesh, camera(-90.0, 90.0).tolist(), size, 1.0, 0, run=DRAW)
    picture = np.reshape(pixels, (size, size, 4))
    row = int(size / 2 * (1 + 0.3))
    assert picture[row, size // 2, 0] > 200
    assert picture[row, size // 2, 1] == 0
    assert picture[size - 3, size // 2, 1] > 200
    assert picture[size - 3, size // 2, 0] == 0
    assert picture[0, 0, 3] == 0
    # The area of a triangle of base and height 2, in pixels.
    covered = np.count_nonzero(picture[..., 3])
    assert covered == pytest.approx(2 * (size / 2) ** 2, rel=0.03)
    light = np.reshape(
        javascript.call(SCRIPT, mesh, camera(-90.0, 90.0).tolist(), size, 1.0, 0.25, run=DRAW),
        (size, size, 4),
    )
    assert (light[..., 3] == picture[..., 3]).all()
    assert light[row, size // 2, 1] > 40, "lighter for a dark page"


def test_a_view_stays_within_its_limits():
    found = javascript.call(SCRIPT, ["limited", [190, 95]], ["limited", [-200, -100]])
    assert found == [[-170, 90], [160, -90]]


def test_a_page_says_what_it_shows(table, tmp_path):
    text = table.html()
    assert 'aria-label="Two &quot;animals&quot;."' in text
    assert "T(A) &lt;b&gt;" in text
    assert text.count("data:image/png;base64,") == 2, "a still of each without scripts"
    assert "<script" not in table.html(script=False)
    table.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "<title>A · T(A) &lt;b&gt;</title>" in page
    assert text in page
    assert repr(table) == f"Turntable(A, T(A) <b>: {table.nbytes / 1000:.0f} kB)"


def test_on_a_page_of_the_book_the_scripts_are_left_to_it(table, monkeypatch):
    monkeypatch.delenv("LRMF_PLAYER_ON_PAGE", raising=False)
    assert "<script" in table._repr_html_()
    monkeypatch.setenv("LRMF_PLAYER_ON_PAGE", "1")
    assert "<script" not in table._repr_html_()


def test_four_animals_of_3000_vertices_fit_the_budget():
    pair = lrmf.data.quadrupeds()
    rng = np.random.default_rng(0)
    worn = [pair.source.vertices + 0.02 * rng.normal(size=pair.source.vertices.shape)] * 2
    meshes = {"A": pair.source, "B": pair.target}
    meshes |= {str(k): pair.source.moved(x + k) for k, x in enumerate(worn)}
    assert Turntable(meshes, alt="x").nbytes < 200_000


@pytest.mark.parametrize(
    ("changes", "kind", "error"),
    [
        ({"meshes": {}}, ValueError, "needs meshes, at least one"),
        ({"meshes": {"A": np.eye(3)}}, TypeError, "'A' must be a lrmf.data.Mesh, got ndarray"),
        ({"alt": " "}, ValueError, "needs alt="),
        ({"colors": {"B": "red"}}, ValueError, r"colors has \['B'\], the panels are \['A'\]"),
        ({"colors": {"A": "no colour"}}, ValueError, "colors must be names such as"),
        ({"colors": {"A": np.eye(3)}}, ValueError, "colors must be names such as"),
        ({"view": (0.0, np.nan)}, ValueError, "view must be azimuth and elevation"),
        ({"view": 3.0}, ValueError, "view must be azimuth and elevation"),
        ({"budget": 1000}, ValueError, "the budget is 1 kB; show fewer meshes"),
    ],
)
def test_bad_arguments(animal, changes, kind, error):
    with pytest.raises(kind, match=error):
        Turntable(**{"meshes": {"A": animal}, "alt": "x"} | changes)


def test_colours_out_of_range(animal):
    with pytest.raises(ValueError, match="must lie in"):
        Turntable({"A": animal}, alt="x", colors={"A": 255 * part_colors(animal)})


def test_too_many_vertices_for_a_page():
    n = 2**15
    faces = np.array([[0, 1, 2]])
    large = lrmf.data.Mesh(vertices=np.random.default_rng(0).normal(size=(n, 3)), faces=faces)
    with pytest.raises(ValueError, match="a page shows fewer than 32768"):
        Turntable({"A": large}, alt="x")


@pytest.fixture(scope="module")
def page(table, tmp_path_factory):
    """The turntable in a browser, drawn."""
    path = tmp_path_factory.mktemp("turntable") / "page.html"
    table.save(path)
    with browsing.chromium() as driver:
        driver.get(path.as_uri())
        wait = WebDriverWait(driver, 30, 0.05)
        wait.until(lambda _: driver.find_elements(By.CSS_SELECTOR, ".lrmf-player[data-scheme]"))
        yield driver
        assert driver.get_log("browser") == []


def picture(page, place=0):
    return page.execute_script(
        "return document.querySelectorAll('.lrmf-player-solid')[arguments[0]].toDataURL()", place
    )


def turned(page, before):
    WebDriverWait(page, 20, 0.05).until(lambda _: picture(page) != before)
    inputs = page.find_elements(By.CSS_SELECTOR, ".lrmf-player input")
    return [float(slider.get_property("value")) for slider in inputs]


def test_dragging_keys_and_sliders_turn_all_meshes(page):
    before, other = picture(page), picture(page, 1)
    canvas = page.find_element(By.CSS_SELECTOR, ".lrmf-player-solid")
    ActionChains(page).drag_and_drop_by_offset(canvas, 100, 0).perform()
    assert turned(page, before)[0] < -100
    assert picture(page, 1) != other
    before = picture(page)
    page.execute_script("document.querySelector('.lrmf-player-stage').focus()")
    ActionChains(page).send_keys(Keys.ARROW_UP).perform()
    assert turned(page, before)[1] == 25.0
    before = picture(page)
    page.execute_script("document.querySelectorAll('.lrmf-player input')[1].focus()")
    ActionChains(page).send_keys(Keys.ARROW_LEFT).perform()
    assert turned(page, before)[1] == 20.0
    before = picture(page)
    page.execute_script("document.querySelector('.lrmf-player-stage').focus()")
    ActionChains(page).send_keys(Keys.HOME).perform()
    assert turned(page, before) == [-60.0, 15.0]


def test_a_finger_turns_them_too(page):
    before = picture(page)
    box = page.execute_script(
        "const r = document.querySelector('.lrmf-player-solid').getBoundingClientRect();"
        "return [r.x + r.width / 2, r.y + r.height / 2]"
    )
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for kind, shift in (("touchStart", 0), ("touchMove", 30), ("touchMove", 60), ("touchEnd", 60)):
        points = [] if kind == "touchEnd" else [{"x": box[0] + shift, "y": box[1]}]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert turned(page, before)[0] != -60.0
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_on_a_dark_page_the_meshes_are_lighter(page):
    before = picture(page)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    turned(page, before)
    root = page.find_element(By.CSS_SELECTOR, ".lrmf-player")
    assert root.get_attribute("data-scheme") == "dark"
