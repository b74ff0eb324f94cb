/* Sliders on a page that has no kernel: what the pictures that move by hand have in common.

   A picture's own script tells `mount` its controls, how to compute, draw and describe a state, and
   in which figures it takes the place of the still picture. Without these scripts the still stays. */
(function () {
  "use strict";

  /* What is missing or not a number becomes the start; the rest is clamped to its range. */
  function clamp(controls, state) {
    const clamped = {};
    for (const { name, start, low, high } of controls) {
      const value = state[name];
      const usable = typeof value === "number" && !Number.isNaN(value);
      clamped[name] = Math.min(Math.max(usable ? value : start, low), high);
    }
    return clamped;
  }

  /* Round numbers that divide a range into a few steps. */
  function ticks(low, high, count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= rough * 0.999);
    const values = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
      values.push(Number((k * step).toPrecision(12)));
    }
    return values;
  }

  function fixed(value, digits) {
    const text = value.toFixed(digits).replace("-", "−");
    return Number(value.toFixed(digits)) === 0 ? text.replace("−", "") : text;
  }

  function signed(value, digits) {
    const text = fixed(value, digits);
    return value > 0 && Number(value.toFixed(digits)) !== 0 ? `+${text}` : text;
  }

  if (typeof module !== "undefined" && module.exports) {
    module.exports = { clamp, ticks, fixed, signed };
    return;
  }

  const SVG = "http://www.w3.org/2000/svg";

  function element(name, attributes, children) {
    const made = document.createElement(name);
    Object.entries(attributes || {}).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...(children || []));
    return made;
  }

  function shape(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* μ_A reads μ with a subscript. */
  function withSubscripts(text) {
    return text.split(/_(\w)/).map((part, k) => (k % 2 ? element("sub", {}, [part]) : part));
  }

  /* Lines, numbers and names of two axes; returns how values become pixels. */
  function axes(svg, { width, height, left, right, top, bottom, x, y, digits }) {
    const px = (value) => left + ((value - x.low) / (x.high - x.low)) * (width - left - right);
    const py = (value) =>
      height - bottom - ((value - y.low) / (y.high - y.low)) * (height - top - bottom);
    const write = (value) => String(value).replace("-", "−");
    const floor = py(y.low);
    for (const value of ticks(y.low, y.high, 5)) {
      const at = py(value);
      const text = digits === undefined ? write(value) : fixed(value, digits);
      svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
      svg.append(shape("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text));
    }
    for (const value of ticks(x.low, x.high, Math.min(8, width / 60))) {
      const at = px(value);
      svg.append(shape("line", { class: "grid", x1: at, x2: at, y1: top, y2: floor }));
      svg.append(shape("text", { x: at, y: floor + 17, "text-anchor": "middle" }, write(value)));
    }
    const middle = (top + height - bottom) / 2;
    const turned = `rotate(-90 11 ${middle})`;
    const below = { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" };
    svg.append(shape("text", below, x.name));
    svg.append(shape("text", { x: 11, y: middle, "text-anchor": "middle", transform: turned }, y.name));
    return { px, py };
  }

  /* An empty picture of this size. */
  function clear(svg, width, height) {
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
  }

  function mount(figure, { controls: given, numbers, pictures, legend, status: says, buttons }) {
    const start = clamp(given, {});
    let state = start;
    const drawn = pictures.map(() => shape("svg", { role: "img" }));
    const status = element("p", { class: "lrmf-status", role: "status" });
    const inputs = new Map();
    const controls = element("div", { class: "lrmf-controls" });
    for (const { name, text, low, high, step } of given) {
      const id = `${figure.id}-${name}`;
      const input = element("input", { id, type: "range", min: low, max: high, step });
      const output = element("output", { for: id });
      input.addEventListener("input", () => {
        move({ ...state, [name]: input.valueAsNumber });
      });
      inputs.set(name, [input, output]);
      controls.append(element("div", {}, [element("label", { for: id }, withSubscripts(text)), input, output]));
    }
    const pressed = [...buttons, ["Start over", () => start]].map(([text, next]) => {
      const button = element("button", { type: "button" }, [text]);
      button.addEventListener("click", () => move(next(state)));
      return button;
    });
    const frame = element("div", { class: "lrmf-try" }, [
      legend(),
      ...drawn,
      status,
      controls,
      element("div", { class: "lrmf-buttons" }, pressed),
    ]);

    function draw() {
      const width = Math.max(280, Math.floor(frame.clientWidth));
      const n = numbers(state);
      pictures.forEach(({ draw: paint, describe }, k) => {
        paint(drawn[k], state, n, width);
        drawn[k].setAttribute("aria-label", describe(state, n));
      });
      status.textContent = says(state, n);
    }

    function move(next) {
      state = clamp(given, next);
      for (const [name, [input, output]] of inputs) {
        // The slider shows the nearest step, the state keeps the exact value.
        if (input.valueAsNumber !== state[name]) input.value = state[name];
        output.textContent = fixed(state[name], 2);
      }
      draw();
    }

    figure.querySelectorAll("img").forEach((picture) => {
      picture.hidden = true;
    });
    figure.prepend(frame);
    move(state);
    new ResizeObserver(draw).observe(frame);
  }

  /* Put a picture that moves into those of the figures that the page has. */
  function begin(figures, widget) {
    const put = () => {
      for (const id of figures) {
        const figure = document.getElementById(id);
        if (figure) mount(figure, widget);
      }
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", put);
    else put();
  }

  window.lrmfSliders = { axes, begin, clear, element, fixed, shape, signed, ticks };
})();
