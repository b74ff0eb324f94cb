/* A coupling layer in the plane, to be moved by hand, on a page that has no kernel.

   The first half computes: pure functions of a state, the same as lrmf/widgets/coupling_layer.py,
   against which tests/test_book_widget.py holds them. The second half draws; sliders.js does the
   rest. */
(function () {
  "use strict";

  const FIGURES = ["fig-course-coupling"];

  const CONTROLS = [
    { name: "scale", text: "a, slope of s", start: 0.8, low: -1.5, high: 1.5, step: 0.1 },
    { name: "level", text: "c, level of s", start: 0, low: -1, high: 1, step: 0.1 },
    { name: "shift", text: "b, size of t", start: 0.4, low: -1.5, high: 1.5, step: 0.1 },
  ];

  const REACH = 1.5;
  const MOST = 2.5; // nats, where the colours end

  function logDet(state, x) {
    return state.level + state.scale * Math.tanh(x);
  }

  /* The second coordinate of the image of a point; the first one stays. */
  function image(state, first, second) {
    return second * Math.exp(logDet(state, first)) + state.shift * Math.sin(2 * first);
  }

  /* Log-determinants in nats at the left and right end of the grid, and their average. */
  function numbers(state) {
    const values = Array.from({ length: 201 }, (_, k) => logDet(state, -REACH + (k * REACH) / 100));
    return {
      left: values[0],
      right: values[200],
      mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    };
  }

  /* Blue where cells are squeezed, red where they are stretched, as in the figure. */
  function color(value) {
    const ends = value < 0 ? [33, 102, 172] : [178, 24, 43];
    const share = Math.min(Math.abs(value) / MOST, 1);
    return `rgb(${ends.map((end) => Math.round(247 + share * (end - 247))).join(", ")})`;
  }

  const sliders = typeof module === "undefined" ? window.lrmfSliders : require("./sliders.js");

  function describe(state, n) {
    const ends = [["left", n.left], ["right", n.right]].map(([side, value]) => {
      const text = sliders.signed(value, 2);
      const verb = { "+": "stretched", "−": "squeezed" }[text[0]] || "left as they are";
      return `${verb} on the ${side} (${text} nats)`;
    });
    return (
      `A square grid after a coupling layer, with cells ${ends.join(" and ")}, and bent up and ` +
      `down by up to ${sliders.fixed(Math.abs(state.shift), 1)}. Vertical lines stay where they are.`
    );
  }

  function describeLine(state, n) {
    return (
      "The log-determinant against the first coordinate; its average is " +
      `${sliders.signed(n.mean, 2)} nats.`
    );
  }

  if (typeof module !== "undefined" && module.exports) {
    module.exports = { CONTROLS, FIGURES, color, describe, describeLine, image, logDet, numbers };
    return;
  }

  const { axes, begin, clear, element, fixed, shape, signed } = sliders;
  const CELLS = 18;
  const MARGINS = { left: 52, right: 8, top: 8, bottom: 40 };

  function points(list) {
    return list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  }

  function drawGrid(svg, state, n, width) {
    const height = 340;
    const at = Array.from({ length: CELLS + 1 }, (_, k) => -REACH + (2 * REACH * k) / CELLS);
    const moved = at.map((first) => at.map((second) => image(state, first, second)));
    const low = 1.03 * Math.min(-REACH, ...moved.flat());
    const high = 1.03 * Math.max(REACH, ...moved.flat());
    clear(svg, width, height);
    const { px, py } = axes(svg, {
      width, height, ...MARGINS,
      x: { low: -1.03 * REACH, high: 1.03 * REACH, name: "y₁ = x₁" },
      y: { low, high, name: "y₂" },
    });
    for (let i = 0; i < CELLS; i += 1) {
      const fill = color(logDet(state, (at[i] + at[i + 1]) / 2));
      for (let j = 0; j < CELLS; j += 1) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const outline = points(corners.map(([k, l]) => [px(at[k]), py(moved[k][l])]));
        svg.append(shape("polygon", { class: "cell", points: outline, fill }));
      }
    }
    const square = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => [px(REACH * x), py(REACH * y)]);
    svg.append(shape("polygon", { class: "before", points: points(square) }));
  }

  function drawLine(svg, state, n, width) {
    const height = 190;
    clear(svg, width, height);
    const { px, py } = axes(svg, {
      width, height, ...MARGINS,
      x: { low: -1.03 * REACH, high: 1.03 * REACH, name: "x₁" },
      y: { low: -2.7, high: 2.7, name: "log|det ∇T|" },
    });
    const line = Array.from({ length: 101 }, (_, k) => -REACH + (k * REACH) / 50);
    svg.append(shape("line", { class: "zero", x1: px(-REACH), x2: px(REACH), y1: py(0), y2: py(0) }));
    const curve = points(line.map((x) => [px(x), py(logDet(state, x))]));
    svg.append(shape("polyline", { class: "curve whole", points: curve }));
  }

  function legend() {
    const entries = [[-MOST, "squeezed"], [0, "kept"], [MOST, "stretched"]].map(([value, text]) => {
      const swatch = shape("svg", { width: 28, height: 12, "aria-hidden": "true" });
      const size = { class: "cell", x: 0, y: 0, width: 28, height: 12, fill: color(value) };
      swatch.append(shape("rect", size));
      return element("li", {}, [swatch, text]);
    });
    const swatch = shape("svg", { width: 28, height: 12, "aria-hidden": "true" });
    swatch.append(shape("line", { class: "before", x1: 0, x2: 28, y1: 6, y2: 6 }));
    return element("ul", { class: "lrmf-legend" }, [...entries, element("li", {}, [swatch, "before"])]);
  }

  begin(FIGURES, {
    controls: CONTROLS,
    numbers,
    pictures: [
      { draw: drawGrid, describe },
      { draw: drawLine, describe: describeLine },
    ],
    legend,
    status: (state, n) =>
      `log|det| ${signed(n.left, 2)} on the left, ${signed(n.right, 2)} on the right, ` +
      `${signed(n.mean, 2)} nats on average; largest shift ${fixed(Math.abs(state.shift), 1)}`,
    buttons: [["Shift only", (state) => ({ ...state, scale: 0, level: 0 })]],
  });
})();
