/* The Gaussian case, to be moved by hand, on a page that has no kernel.

   The first half computes: pure functions of a state, the same as lrmf/widgets/gaussian_case.py,
   against which tests/test_book_widget.py holds them. The second half draws; sliders.js does the
   rest. */
(function () {
  "use strict";

  const FIGURES = ["fig-gaussian-try", "fig-course-gaussian"];

  const CONTROLS = [
    { name: "mean_a", text: "μ_A, mean of A", start: -1, low: -3, high: 3, step: 0.1 },
    { name: "std_a", text: "σ_A, spread of A", start: 0.5, low: 0.5, high: 2, step: 0.05 },
    { name: "mean_b", text: "μ_B, mean of B", start: 2, low: -3, high: 3, step: 0.1 },
    { name: "std_b", text: "σ_B, spread of B", start: 1.5, low: 0.5, high: 2, step: 0.05 },
    { name: "a", text: "a, scale of T", start: 1, low: 0.2, high: 5, step: 0.05 },
    { name: "b", text: "b, shift of T", start: 0, low: -15, high: 15, step: 0.1 },
  ];

  /* Terms of the loss in nats, with its best shared density, and the optimum. */
  function numbers(state) {
    const { mean_a, std_a, mean_b, std_b, a, b } = state;
    const moved_mean = a * mean_a + b;
    const moved_std = a * std_a;
    const gap = moved_mean - mean_b;
    const pooled = moved_std ** 2 + std_b ** 2;
    const shared_mean = (moved_mean + mean_b) / 2;
    const variance = pooled / 2 + gap ** 2 / 4;
    const crossEntropy = (mean, std) =>
      0.5 * Math.log(2 * Math.PI * variance) +
      (std ** 2 + (mean - shared_mean) ** 2) / (2 * variance);
    const ratio = Math.abs(Math.log(moved_std / std_b));
    // Both parts keep their digits near the optimum, where their sum is tiny.
    const spread = ratio + Math.log1p(Math.expm1(-2 * ratio) / 2);
    const location = Math.log1p(gap ** 2 / (2 * pooled));
    return {
      log_det: -Math.log(a),
      moved: crossEntropy(moved_mean, moved_std),
      target: crossEntropy(mean_b, std_b),
      constant: -Math.log(2 * Math.PI * Math.E * std_a * std_b),
      loss: spread + location,
      spread,
      location,
      shared_mean,
      shared_std: Math.sqrt(variance),
      best_a: std_b / std_a,
      best_b: mean_b - (std_b / std_a) * mean_a,
    };
  }

  function density(x, mean, std) {
    return Math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * Math.sqrt(2 * Math.PI));
  }

  if (typeof module !== "undefined" && module.exports) {
    module.exports = { CONTROLS, FIGURES, numbers, density };
    return;
  }

  const { axes, begin, clear, element, fixed, shape, signed, ticks } = window.lrmfSliders;
  const POINTS = 240;

  function drawDensities(svg, state, n, width) {
    const height = 260, left = 52, right = 8, top = 8, bottom = 40;
    const moved = [state.a * state.mean_a + state.b, state.a * state.std_a];
    const curves = [
      ["target", [state.mean_b, state.std_b], true],
      ["transformed", moved, true],
      ["shared", [n.shared_mean, n.shared_std], false],
      ["source", [state.mean_a, state.std_a], false],
    ];
    const bells = [curves[0][1], moved, curves[3][1]];
    const low = Math.min(...bells.map(([mean, std]) => mean - 4 * std));
    const high = Math.max(...bells.map(([mean, std]) => mean + 4 * std));
    const peak = 1.05 * Math.max(...bells.map(([mean, std]) => density(mean, mean, std)));
    clear(svg, width, height);
    const { px, py } = axes(svg, {
      width, height, left, right, top, bottom,
      x: { low, high, name: "x" },
      y: { low: 0, high: peak, name: "density" },
      digits: ticks(0, peak, 5)[1] < 0.1 ? 2 : 1,
    });
    for (const [role, [mean, std], filled] of curves) {
      const points = [];
      for (let k = 0; k <= POINTS; k += 1) {
        // Half of the points stand around the bell, however narrow it is beside the others.
        const wide = low + ((high - low) * k) / POINTS;
        const near = mean + std * (-4 + (8 * k) / POINTS);
        points.push(wide, Math.min(Math.max(near, low), high));
      }
      points.sort((x, y) => x - y);
      const line = points.map((x) => `${px(x).toFixed(1)},${py(density(x, mean, std)).toFixed(1)}`);
      if (filled) {
        const area = [`${px(low)},${py(0)}`, ...line, `${px(high)},${py(0)}`];
        svg.append(shape("polygon", { class: `area ${role}`, points: area.join(" ") }));
      }
      svg.append(shape("polyline", { class: `curve ${role}`, points: line.join(" ") }));
    }
  }

  function drawTerms(svg, state, n, width) {
    const rows = [
      ["−log a", n.log_det],
      ["−log P(T(A))", n.moved],
      ["−log P(B)", n.target],
      ["c(A, B)", n.constant],
    ];
    const row = 26, left = 100, right = 58, height = 5 * row + 40;
    let sum = 0;
    const bars = rows.map(([name, size]) => {
      const from = sum;
      sum += size;
      return { name, size, from, to: sum, role: "shared" };
    });
    bars.push({ name: "loss", size: n.loss, from: 0, to: n.loss, role: "loss" });
    const low = Math.min(0, ...bars.map((bar) => bar.to));
    const high = Math.max(0.1, ...bars.map((bar) => bar.to));
    const px = (value) => left + ((value - low) / (high - low)) * (width - left - right);
    clear(svg, width, height);
    for (const value of ticks(low, high, Math.min(6, width / 80))) {
      svg.append(shape("line", { class: "grid", x1: px(value), x2: px(value), y1: 0, y2: 5 * row }));
      svg.append(
        shape("text", { x: px(value), y: 5 * row + 16, "text-anchor": "middle" }, String(value).replace("-", "−"))
      );
    }
    svg.append(shape("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, "nats"));
    bars.forEach(({ name, size, from, to, role }, k) => {
      const start = px(Math.min(from, to)), end = px(Math.max(from, to));
      const y = k * row;
      svg.append(shape("rect", { class: `bar ${role}`, x: start, y: y + 5, width: end - start, height: row - 10 }));
      svg.append(shape("text", { x: left - 8, y: y + row / 2 + 4, "text-anchor": "end" }, name));
      svg.append(shape("text", { x: end + 5, y: y + row / 2 + 4 }, signed(size, 2)));
    });
    svg.append(shape("line", { class: "zero", x1: px(0), x2: px(0), y1: 0, y2: 5 * row }));
  }

  function describe(state, n) {
    return (
      `Bell curves: A around ${fixed(state.mean_a, 1)} (dotted), B around ${fixed(state.mean_b, 1)}, ` +
      `T(A) around ${fixed(state.a * state.mean_a + state.b, 1)}, and their best shared normal ` +
      `density (dashed), with mean ${fixed(n.shared_mean, 1)} and standard deviation ${fixed(n.shared_std, 1)}.`
    );
  }

  function describeTerms(state, n) {
    return (
      `Bars that add up to the loss: ${signed(n.log_det, 2)} from the log-determinant, ` +
      `${signed(n.moved, 2)} and ${signed(n.target, 2)} from the shared density on T(A) and on B, ` +
      `${signed(n.constant, 2)} from the constant.`
    );
  }

  function legend() {
    const entries = [
      ["target", "B"],
      ["transformed", "T(A)"],
      ["shared", "best shared"],
      ["source", "A"],
    ].map(([role, text]) => {
      const swatch = shape("svg", { width: 28, height: 10, "aria-hidden": "true" });
      swatch.append(shape("line", { class: `curve ${role}`, x1: 0, x2: 28, y1: 5, y2: 5 }));
      return element("li", {}, [swatch, text]);
    });
    return element("ul", { class: "lrmf-legend" }, entries);
  }

  function goToTheOptimum(state) {
    const n = numbers(state);
    return { ...state, a: n.best_a, b: n.best_b };
  }

  begin(FIGURES, {
    controls: CONTROLS,
    numbers,
    pictures: [
      { draw: drawDensities, describe },
      { draw: drawTerms, describe: describeTerms },
    ],
    legend,
    status: (state, n) =>
      `loss ${fixed(n.loss, 3)} nats = spread ${fixed(n.spread, 3)} + location ${fixed(n.location, 3)}; ` +
      `best a* = ${fixed(n.best_a, 2)}, b* = ${fixed(n.best_b, 2)}`,
    buttons: [["Go to the optimum", goToTheOptimum]],
  });
})();
