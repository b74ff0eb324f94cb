"""What the player's script computes under Node.js, held against NumPy and the library."""

import base64
import json
import re
import subprocess
import zlib
from functools import partial

import javascript
import numpy as np
import pytest

from lrmf import plots
from lrmf.player import Player, Track
from lrmf.player.encoding import Writer, enclosed_shares
from lrmf.player.page import STATIC
from lrmf.player.still import LABEL_COLORS, QUIET

SCRIPT = STATIC / "player_frames.js"
DRAWING = (STATIC / "player_drawing.js").read_text(encoding="utf8")
DECODE = """
const script = require(process.argv[1]);
const [text] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const bytes = require("zlib").inflateSync(Buffer.from(text, "base64"));
const data = script.decode(new Uint8Array(bytes));
const plain = (key, value) => (value instanceof Float32Array ? Array.from(value) : value);
console.log(JSON.stringify(data, plain));
"""
call = partial(javascript.call, SCRIPT)


def decoded(player):
    """What the script reads from a player's page."""
    text = re.search(r'data-frames="([^"]*)"', player.html())[1]
    return javascript.call(SCRIPT, text, run=DECODE)


def values(entry):
    return np.array(entry["values"]).reshape(entry["shape"])


def test_the_script_reads_what_the_library_wrote(track):
    (read,) = decoded(Player([track], alt="x"))["tracks"]
    assert read["title"] == track.title
    assert read["steps"] == track.steps.tolist()
    assert read["extent"] == list(track.extent)
    for name in ("points", "grid", "target"):
        expected = getattr(track, name)
        width = np.ptp(expected.reshape(-1, 2), axis=0)
        found = values(read[name]).reshape(expected.shape)
        # Half of a level, and what single precision adds.
        assert (np.abs(found - expected) <= 0.51 * width / (2**13 - 1)).all(), name
        assert (np.abs(found - expected) >= 0.3 * width / (2**13 - 1)).any(), name
    shares = enclosed_shares(track.density)
    assert np.abs(values(read["density"]) - shares).max() <= 0.51 / 63
    np.testing.assert_array_equal(values(read["labels"]), track.labels)
    assert read["names"] == ["0", "1"]
    for name, entry in read["ellipses"]:
        mean, cov = track.ellipses[name]
        found = values(entry)
        np.testing.assert_allclose(found[:, :2], mean, rtol=1e-6)
        np.testing.assert_allclose(found[:, [2, 3, 3, 4]], cov.reshape(-1, 4), rtol=1e-6, atol=1e-7)


def test_the_loss_keeps_mean_and_spread_of_its_bins(track):
    (read,) = decoded(Player([track], alt="x"))["tracks"]
    steps, loss = track.loss
    bins = np.array_split(np.arange(len(steps)), 160)
    expected = [(loss[b].mean(), loss[b].min(), loss[b].max()) for b in bins]
    found = np.array(read["loss"]["values"]).reshape(160, 3)
    assert np.abs(found - expected).max() <= 0.51 * np.ptp(loss) / (2**12 - 1)
    np.testing.assert_allclose(read["loss"]["steps"], [steps[b].mean() for b in bins], rtol=1e-6)


def test_points_far_off_the_panel_cost_no_precision(arrays):
    far = arrays["points"].copy()
    far[2, 0] = 1e9
    (read,) = decoded(Player([Track(**arrays | {"points": far})], alt="x"))["tracks"]
    found = values(read["points"])
    np.testing.assert_allclose(found[:, 1:], far[:, 1:], atol=0.51 * 33 / 2**13)
    x_min, x_max, *_ = arrays["extent"]
    assert found[2, 0, 0] == pytest.approx(2 * x_max - x_min, abs=1e-3)


def test_any_numbers_survive_as_differences_between_frames():
    rng = np.random.default_rng(0)
    for shape in ((1, 7, 2), (2, 1, 2), (9, 3, 4, 2)):
        points = rng.normal(size=shape) * 10 ** rng.uniform(-3, 3, size=2)
        writer = Writer()
        header = {"tracks": [{"points": writer.coordinates(points)}]}
        (read,) = javascript.call(SCRIPT, writer.text(header), run=DECODE)["tracks"]
        width = np.ptp(points.reshape(-1, 2), axis=0)
        assert (np.abs(values(read["points"]) - points) <= 0.51 * width / (2**13 - 1)).all()


def test_the_share_of_a_cell_is_what_lies_in_less_dense_cells():
    density = np.random.default_rng(0).exponential(size=(3, 5, 5))
    for heights, shares in zip(density, enclosed_shares(density), strict=True):
        for height, share in zip(heights.ravel(), shares.ravel(), strict=True):
            assert share == pytest.approx(heights[heights <= height].sum() / heights.sum())


def test_a_position_counts_the_steps_of_all_tracks():
    tracks = [{"steps": [0, 100, 400]}, {"steps": [0, 50, 100]}]
    (steps,) = call(["timeline", tracks])
    assert steps == [0, 50, 100, 400]
    positions = [-1.0, 0.0, 0.3, 1.5, 2.5, 3.0, 9.0]
    found = call(*(["stepAt", steps, p] for p in positions))
    np.testing.assert_allclose(found, np.interp(positions, range(4), steps))
    back = call(*(["positionOf", steps, step] for step in found))
    np.testing.assert_allclose(back, np.clip(positions, 0, 3))


def test_between_two_frames_it_mixes_them():
    steps = [0.0, 100.0, 400.0]
    frames = np.random.default_rng(0).normal(size=(3, 4, 2))
    run = """
    const script = require(process.argv[1]);
    const [steps, shape, values, at] = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const array = { shape, values: Float32Array.from(values) };
    const results = at.map((step) => Array.from(script.frame(array, script.between(steps, step))));
    console.log(JSON.stringify(results));
    """
    at = [-5, 0, 30, 100, 250, 400, 1000]
    found = javascript.call(SCRIPT, steps, frames.shape, frames.ravel().tolist(), at, run=run)
    for step, values_ in zip(at, found, strict=True):
        flat = frames.reshape(3, -1)
        expected = [np.interp(step, steps, flat[:, i]) for i in range(8)]
        np.testing.assert_allclose(values_, expected, rtol=1e-5, atol=1e-6)
    (still,) = javascript.call(SCRIPT, steps, [1, 2], [1.0, 2.0], [250], run=run)
    assert still == [1.0, 2.0]


def test_an_ellipse_has_three_standard_deviations():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mean, root = rng.normal(size=2), rng.normal(size=(2, 2))
        cov = root @ root.T
        (found,) = call(["ellipse", [*mean, cov[0, 0], cov[0, 1], cov[1, 1]], 3])
        c, s = np.cos(found["angle"]), np.sin(found["angle"])
        for corner in (found["long"] * np.array([c, s]), found["short"] * np.array([-s, c])):
            assert corner @ np.linalg.solve(cov, corner) == pytest.approx(9.0)
        assert (found["x"], found["y"]) == tuple(mean)


def test_the_panel_has_equal_units_on_both_axes():
    run = """
    const script = require(process.argv[1]);
    const [extent, box, at] = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const frame = script.frameOf(extent, box);
    const pixels = at.map(([x, y]) => [frame.x(x), frame.y(y)]);
    console.log(JSON.stringify({ box: frame.box, at: pixels }));
    """
    extent, box = [-1, 3, 0, 2], {"x": 10, "y": 20, "width": 200, "height": 300}
    corners = [[-1, 0], [3, 2], [0, 1]]
    found = javascript.call(SCRIPT, extent, box, corners, run=run)
    assert found["box"] == {"x": 10, "y": 120, "width": 200, "height": 100}
    assert found["at"] == [[10, 220], [210, 120], [60, 170]]


def test_the_loss_axis_shows_all_but_a_peak_at_the_start():
    rows = np.linspace(1.0, 0.1, 100)
    (low, high) = call(["lossRange", np.repeat(rows, 3).tolist()])[0]
    assert low < 0.0
    assert high > 1.0
    rows[0] = 1e6
    (low, high) = call(["lossRange", np.repeat(rows, 3).tolist()])[0]
    assert 1.0 < high < 5.0
    (low, high) = call(["lossRange", [2.0] * 9])[0]
    assert 0.0 < low < 2.0 < high
    (low, high) = call(["lossRange", np.repeat([9.0, 8.0], 3).tolist()])[0]
    assert 7.0 < low < 8.0  # zero is far, and would flatten the curve


def test_the_numbers_of_an_axis_are_round():
    found = call(["ticks", -1.7, 2.3, 4], ["ticks", 0, 2000, 5], ["text", -0.5], ["text", 1 / 3])
    assert found == [[-1, 0, 1, 2], [0, 500, 1000, 1500, 2000], "−0.5", "0.3333"]


def test_colours_mix():
    assert call(["mix", "#000000", "#ffffff", 0.5], ["mix", "#123456", "#ffffff", 0]) == [
        "#808080",
        "#123456",
    ]


def test_the_colours_are_those_of_the_library():
    block = re.search(r"const COLORS = \{(.*?)\};", DRAWING, re.DOTALL)[1]
    assert dict(re.findall(r'(\w+): "(#\w+)"', block)) == plots.COLORS
    block = re.search(r"const LABEL_COLORS = \[(.*?)\];", DRAWING, re.DOTALL)[1]
    assert tuple(re.findall(r'"(#\w+)"', block)) == LABEL_COLORS
    assert re.search(r'const QUIET = "(.*?)"', DRAWING)[1] == QUIET
    markers = re.search(r"const MARKERS = \[(.*?)\];", DRAWING)[1]
    assert len(set(markers.split(", "))) == len(LABEL_COLORS)


def test_every_script_parses_with_and_without_comments(track):
    html = Player([track], alt="x").html()
    code = re.search(r"<script>\n(.*)</script>", html, re.DOTALL)[1]
    check = "new Function(require('fs').readFileSync(0, 'utf8'))"
    sources = [path.read_text(encoding="utf8") for path in STATIC.glob("*.js")]
    for text in [code, *sources]:
        subprocess.run([javascript.node(), "-e", check], input=text, text=True, check=True)
    assert "/*" not in code
    assert len(code) < 0.85 * sum(map(len, sources))


def test_the_bytes_are_deflated_and_small(track):
    text = re.search(r'data-frames="([^"]*)"', Player([track], alt="x").html())[1]
    data = zlib.decompress(base64.b64decode(text))
    length = int.from_bytes(data[:4], "little")
    assert json.loads(data[4 : 4 + length])["tracks"][0]["title"] == "LRMF"
    assert len(text) < 4 * (track.points.size + track.grid.size) + track.density.size + 4000
