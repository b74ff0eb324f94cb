/* Plays the training animations that lrmf.player writes.

   The first half computes: pure functions, which the tests run under Node.js against the library. The
   second half draws. A page may hold several players and, as notebooks do, this script several times;
   only the first one counts. Without it the page shows a still of one frame. */
(function () {
  "use strict";

  // The colours of lrmf.plots and lrmf.player.still.
  const COLORS = {
    source: "#0077BB", target: "#CC3311", transformed: "#33BBEE", shared: "#555555",
    reference: "#222222", highlight: "#EE7733",
  };
  const LABEL_COLORS = [
    "#0077BB", "#EE7733", "#009988", "#EE3377", "#33BBEE",
    "#CC3311", "#332288", "#999933", "#882255", "#DDCC77",
  ];
  const QUIET = "#AAAAAA";
  const CARD = { light: "#ffffff", dark: "#191e26" };
  const STD = 3; // of the ellipses

  /* ---- what is stored ---- */

  function header(bytes) {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    return {
      head: JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))),
      body: bytes.subarray(4 + length),
    };
  }

  /* An array of the header as numbers; the last axis of coordinates has a scale of its own. */
  function numbers(entry, body) {
    const count = entry.shape.reduce((a, b) => a * b, 1);
    const made = new Float32Array(count);
    if (entry.kind === "f4") {
      const view = new DataView(body.buffer, body.byteOffset + entry.at);
      for (let i = 0; i < count; i += 1) made[i] = view.getFloat32(4 * i, true);
      return made;
    }
    if (entry.kind === "u1") {
      for (let i = 0; i < count; i += 1) made[i] = body[entry.at + i] / entry.levels;
      return made;
    }
    const whole = new Int32Array(count);
    const frame = entry.delta ? count / entry.shape[0] : count;
    const axes = entry.low.length;
    for (let i = 0; i < count; i += 1) {
      const value = body[entry.at + i] + 256 * body[entry.at + count + i];
      const step = (value >>> 1) ^ -(value & 1);
      whole[i] = entry.delta ? step + (i >= frame ? whole[i - frame] : 0) : value;
      made[i] = entry.low[i % axes] + (whole[i] / entry.levels) * entry.width[i % axes];
    }
    return made;
  }

  function decode(bytes) {
    const { head, body } = header(bytes);
    const read = (entry) => entry && { shape: entry.shape, values: numbers(entry, body) };
    const tracks = head.tracks.map((track) => {
      const loss = track.loss && {
        label: track.loss.label,
        steps: numbers(track.loss.steps, body),
        values: numbers(track.loss.values, body),
      };
      const ellipses = Object.entries(track.ellipses || {}).map(([name, entry]) => [name, read(entry)]);
      const arrays = {};
      for (const name of ["points", "target", "labels", "density", "grid"]) arrays[name] = read(track[name]);
      return { ...track, ...arrays, ellipses, loss };
    });
    return { ...head, tracks };
  }

  /* ---- time: a position on the timeline counts the steps of all tracks, 0, 1, 2, ... ---- */

  function timeline(tracks) {
    return [...new Set(tracks.flatMap((track) => track.steps))].sort((a, b) => a - b);
  }

  /* The index i of the last value at or below x, and how far x is from there to the next one. */
  function between(values, x) {
    const last = values.length - 1;
    if (!(x > values[0])) return [0, 0];
    if (x >= values[last]) return [last, 0];
    let low = 0, high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (values[middle] <= x) low = middle;
      else high = middle;
    }
    return [low, (x - values[low]) / (values[high] - values[low])];
  }

  function stepAt(steps, position) {
    const at = Math.min(Math.max(position, 0), steps.length - 1);
    const i = Math.floor(at);
    return i + 1 < steps.length ? steps[i] + (at - i) * (steps[i + 1] - steps[i]) : steps[i];
  }

  function positionOf(steps, step) {
    const [i, fraction] = between(steps, step);
    return i + fraction;
  }

  /* Frame number `at` of an array, between two frames a mixture of both. */
  function frame(array, [i, fraction]) {
    const frames = array.shape[0];
    const size = array.values.length / frames;
    const from = Math.min(i, frames - 1) * size;
    const now = array.values.subarray(from, from + size);
    if (!fraction || i + 1 >= frames) return now;
    const next = array.values.subarray(from + size, from + 2 * size);
    return now.map((value, k) => value + fraction * (next[k] - value));
  }

  /* ---- axes ---- */

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

  function text(value) {
    return String(Number(value.toPrecision(4))).replace("-", "−");
  }

  /* Largest box with equal units on both axes; returns functions from data to pixels. */
  function frameOf([left, right, bottom, top], box) {
    const scale = Math.min(box.width / (right - left), box.height / (top - bottom));
    const x0 = box.x + (box.width - scale * (right - left)) / 2;
    const y0 = box.y + (box.height - scale * (top - bottom)) / 2;
    return {
      x: (value) => x0 + scale * (value - left),
      y: (value) => y0 + scale * (top - value),
      box: { x: x0, y: y0, width: scale * (right - left), height: scale * (top - bottom) },
    };
  }

  /* What the loss axis covers. A peak at the start would flatten everything that follows, so the axis
     ends at four times the height that nine tenths of the bins stay below. */
  function lossRange(values) {
    const means = [];
    for (let i = 0; i < values.length; i += 3) means.push(values[i]);
    const sorted = [...means].sort((a, b) => a - b);
    const low = sorted[0], most = sorted[Math.floor(0.9 * (sorted.length - 1))];
    const high = Math.min(sorted[sorted.length - 1], low + 4 * (most - low) || Infinity);
    const pad = 0.06 * (high - low || 1);
    return [low - pad, high + pad];
  }

  /* The corners of an ellipse of (mean, covariance) at a number of standard deviations. */
  function ellipse([mx, my, xx, xy, yy], std) {
    const gap = Math.hypot((xx - yy) / 2, xy);
    const middle = (xx + yy) / 2;
    return {
      x: mx, y: my,
      long: std * Math.sqrt(Math.max(middle + gap, 0)),
      short: std * Math.sqrt(Math.max(middle - gap, 0)),
      angle: Math.atan2(2 * xy, xx - yy) / 2,
    };
  }

  function mix(color, other, share) {
    const parts = [color, other].map((c) => [1, 3, 5].map((k) => parseInt(c.slice(k, k + 2), 16)));
    const mixed = parts[0].map((value, k) => Math.round(value + share * (parts[1][k] - value)));
    return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  }

  const pure = {
    COLORS, LABEL_COLORS, QUIET, decode, timeline, between, stepAt, positionOf, frame, ticks, text, frameOf,
    lossRange, ellipse, mix,
  };
  if (typeof module !== "undefined" && module.exports) {
    module.exports = pure;
    return;
  }
  if (window.lrmfPlayer) {
    window.lrmfPlayer.mountAll();
    return;
  }

  /* ---- drawing ---- */

  const MARKERS = ["o", "^", "s", "D", "v", "<", ">", "p", "h", "*"];

  function element(name, attributes, children) {
    const made = document.createElement(name);
    Object.entries(attributes || {}).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...(children || []));
    return made;
  }

  /* Adds a marker of radius r to the current path. */
  function marker(context, kind, x, y, r) {
    if (kind === "o") {
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 2 * Math.PI);
      return;
    }
    const corners = { "^": 3, v: 3, "<": 3, ">": 3, s: 4, D: 4, p: 5, h: 6, "*": 10 }[kind];
    const turn = { "^": -90, v: 90, "<": 180, ">": 0, s: 45, D: 0, p: -90, h: 0, "*": -90 }[kind];
    for (let k = 0; k < corners; k += 1) {
      const angle = ((turn + (360 * k) / corners) * Math.PI) / 180;
      const reach = kind === "*" && k % 2 ? 0.5 * r : 1.25 * r;
      context[k ? "lineTo" : "moveTo"](x + reach * Math.cos(angle), y + reach * Math.sin(angle));
    }
    context.closePath();
  }

  /* Dark or light? What the page says about itself, else what is behind us, else the system. */
  function scheme(root) {
    const html = document.documentElement, body = document.body;
    const said = html.dataset.theme || html.getAttribute("theme") || html.dataset.bsTheme;
    if (said === "dark" || said === "light") return said;
    if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "true" ? "light" : "dark";
    if (/vscode-(dark|high-contrast(?!-light))/.test(body.className)) return "dark";
    for (let node = root.parentElement; node; node = node.parentElement) {
      const parts = getComputedStyle(node).backgroundColor.match(/[\d.]+/g);
      if (parts && (parts.length < 4 || Number(parts[3]) > 0.5)) {
        return 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2] < 128 ? "dark" : "light";
      }
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  /* Groups of points that share colour and marker: [color, marker, rows]. */
  function groups(track) {
    const count = track.points.shape[1];
    const all = Array.from({ length: count }, (_, i) => i);
    if (track.colorBy === "label") {
      return track.names.map((_, k) => [
        LABEL_COLORS[k], MARKERS[k], all.filter((i) => Math.round(track.labels.values[i]) === k),
      ]);
    }
    if (track.colorBy === "role") return [[COLORS.transformed, "o", all]];
    // A hue for each direction from the centre of the first frame.
    const start = track.points.values.subarray(0, 2 * count);
    const center = [0, 1].map((c) => all.reduce((sum, i) => sum + start[2 * i + c], 0) / count);
    const hues = Array.from({ length: 36 }, () => []);
    for (const i of all) {
      const turn = Math.atan2(start[2 * i + 1] - center[1], start[2 * i] - center[0]) / (2 * Math.PI);
      hues[Math.floor(36 * (turn + 1)) % 36].push(i);
    }
    return hues.map((rows, k) => [`hsl(${10 * k} 75% 45%)`, "o", rows]).filter(([, , rows]) => rows.length);
  }

  class Canvas {
    constructor(kind) {
      this.canvas = element("canvas", { class: `lrmf-player-${kind}` });
      this.context = this.canvas.getContext("2d");
    }

    /* Fit to the page; returns the width in CSS pixels. */
    resize(height) {
      const width = Math.max(120, this.canvas.clientWidth);
      const tall = typeof height === "function" ? height(width) : height;
      const ratio = window.devicePixelRatio || 1;
      if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(tall * ratio)) {
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(tall * ratio);
        this.canvas.style.height = `${tall}px`;
      }
      this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.context.font = "12px system-ui, sans-serif";
      return [width, tall];
    }
  }

  function axes(context, colors, box, x, y, xs, ys, names) {
    context.strokeStyle = colors.grid;
    context.fillStyle = colors.text;
    context.lineWidth = 1;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const value of xs) {
      context.strokeRect(Math.round(x(value)) + 0.5, box.y, 0, box.height);
      context.fillText(text(value), x(value), box.y + box.height + 5);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of ys) {
      context.strokeRect(box.x, Math.round(y(value)) + 0.5, box.width, 0);
      context.fillText(text(value), box.x - 5, y(value));
    }
    context.strokeStyle = colors.line;
    context.strokeRect(box.x, box.y, box.width, box.height);
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.fillText(names[0], box.x + box.width / 2, box.y + box.height + 32);
    context.save();
    context.translate(11, box.y + box.height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(names[1], 0, 0);
    context.restore();
  }

  class Panel {
    constructor(track, first, last, alone) {
      this.track = track;
      this.range = [first, last];
      this.groups = groups(track);
      this.plane = new Canvas("plane");
      this.element = element("div", { class: alone ? "lrmf-player-alone" : "" }, [
        element("div", { class: "lrmf-player-title" }, [track.title]),
        this.plane.canvas,
      ]);
      if (track.loss) {
        this.loss = new Canvas("loss");
        this.limits = lossRange(track.loss.values);
        this.element.append(this.loss.canvas);
      }
      if (track.density) {
        this.cells = element("canvas", { width: track.density.shape[2], height: track.density.shape[1] });
      }
    }

    draw(step, colors) {
      this.drawPlane(between(this.track.steps, step), colors);
      if (this.loss) this.drawLoss(step, colors);
    }

    drawPlane(at, colors) {
      const { track } = this;
      const [left, right, bottom, top] = track.extent;
      const shape = Math.min(Math.max((top - bottom) / (right - left), 0.5), 1.15);
      const [width, height] = this.plane.resize((wide) => Math.round((Math.min(wide, 480) - 60) * shape) + 46);
      const context = this.plane.context;
      const { x, y, box } = frameOf(track.extent, { x: 50, y: 4, width: width - 60, height: height - 46 });
      context.clearRect(0, 0, width, height);
      context.save();
      context.beginPath();
      context.rect(box.x, box.y, box.width, box.height);
      context.clip();
      if (track.density) this.drawDensity(frame(track.density, at), box, colors);
      if (track.target) {
        const quiet = track.colorBy !== "role";
        this.drawPoints(track.target.values, null, quiet ? colors.quiet : colors.of(COLORS.target), quiet ? "o" : "x", x, y);
      }
      const moved = frame(track.points, at);
      for (const [color, kind, rows] of this.groups) this.drawPoints(moved, rows, colors.of(color), kind, x, y);
      if (track.grid) this.drawGrid(frame(track.grid, at), x, y, colors);
      for (const [name, array] of track.ellipses) {
        const e = ellipse(frame(array, array.shape[0] > 1 ? at : [0, 0]), STD);
        const scale = x(1) - x(0);
        context.beginPath();
        context.ellipse(x(e.x), y(e.y), scale * e.long, scale * e.short, -e.angle, 0, 2 * Math.PI);
        context.strokeStyle = colors.of(COLORS[name]);
        context.setLineDash(DASHES[name]);
        context.lineWidth = 2;
        context.stroke();
      }
      context.restore();
      const few = (pixels) => Math.max(2, Math.min(6, pixels / 55));
      axes(context, colors, box, x, y, ticks(left, right, few(box.width)), ticks(bottom, top, few(box.height)), track.axes);
    }

    drawDensity(shares, box, colors) {
      const context = this.cells.getContext("2d");
      const picture = context.createImageData(this.cells.width, this.cells.height);
      const [red, green, blue] = [1, 3, 5].map((k) => parseInt(colors.shared.slice(k, k + 2), 16));
      const columns = this.cells.width, rows = this.cells.height;
      for (let i = 0; i < shares.length; i += 1) {
        const at = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns));
        picture.data[at] = red;
        picture.data[at + 1] = green;
        picture.data[at + 2] = blue;
        picture.data[at + 3] = 170 * shares[i];
      }
      context.putImageData(picture, 0, 0);
      this.plane.context.drawImage(this.cells, box.x, box.y, box.width, box.height);
    }

    drawPoints(values, rows, color, kind, x, y) {
      const context = this.plane.context;
      context.beginPath();
      const count = rows ? rows.length : values.length / 2;
      for (let k = 0; k < count; k += 1) {
        const i = rows ? rows[k] : k;
        const px = x(values[2 * i]), py = y(values[2 * i + 1]);
        if (kind === "x") {
          context.moveTo(px - 2, py - 2);
          context.lineTo(px + 2, py + 2);
          context.moveTo(px + 2, py - 2);
          context.lineTo(px - 2, py + 2);
        } else marker(context, kind, px, py, 2.2);
      }
      context.globalAlpha = 0.8;
      context.lineWidth = 1.2;
      context.fillStyle = context.strokeStyle = color;
      if (kind === "x") context.stroke();
      else context.fill();
      context.globalAlpha = 1;
    }

    drawGrid(values, x, y, colors) {
      const context = this.plane.context;
      const [, lines, along] = this.track.grid.shape;
      context.beginPath();
      for (let k = 0; k < lines * along; k += 1) {
        context[k % along ? "lineTo" : "moveTo"](x(values[2 * k]), y(values[2 * k + 1]));
      }
      context.strokeStyle = colors.text;
      context.globalAlpha = 0.35;
      context.lineWidth = 0.8;
      context.stroke();
      context.globalAlpha = 1;
    }

    drawLoss(step, colors) {
      const { loss } = this.track;
      const [width, height] = this.loss.resize(150);
      const context = this.loss.context;
      const box = { x: 50, y: 6, width: width - 60, height: height - 48 };
      const [low, high] = this.limits, [first, last] = this.range;
      const x = (value) => box.x + ((value - first) / (last - first)) * box.width;
      const y = (value) => box.y + ((high - value) / (high - low)) * box.height;
      this.stepOf = (px) => first + ((px - box.x) / box.width) * (last - first);
      context.clearRect(0, 0, width, height);
      axes(context, colors, box, x, y, ticks(first, last, Math.max(2, Math.min(5, box.width / 70))), ticks(low, high, 3), ["training step", loss.label]);
      context.save();
      context.beginPath();
      context.rect(box.x, box.y, box.width, box.height);
      context.clip();
      const count = loss.steps.length;
      const row = (k, column) => [x(loss.steps[k]), y(loss.values[3 * k + column])];
      context.beginPath();
      for (let k = 0; k < count; k += 1) context.lineTo(...row(k, 1));
      for (let k = count - 1; k >= 0; k -= 1) context.lineTo(...row(k, 2));
      context.fillStyle = colors.shared;
      context.globalAlpha = 0.25;
      context.fill();
      context.globalAlpha = 1;
      context.beginPath();
      for (let k = 0; k < count; k += 1) context.lineTo(...row(k, 0));
      context.strokeStyle = colors.shared;
      context.lineWidth = 1.8;
      context.stroke();
      if (low < 0 && high > 0) {
        context.setLineDash([5, 4]);
        context.lineWidth = 1;
        context.strokeStyle = colors.text;
        context.strokeRect(box.x, y(0), box.width, 0);
        context.setLineDash([]);
      }
      const at = Math.min(step, this.track.steps[this.track.steps.length - 1]);
      context.strokeStyle = context.fillStyle = colors.of(COLORS.highlight);
      context.lineWidth = 1.5;
      context.strokeRect(x(at), box.y, 0, box.height);
      context.beginPath();
      context.arc(x(at), Math.max(box.y + 5, y(this.lossAt(at))), 5, 0, 2 * Math.PI);
      context.fill();
      context.restore();
    }

    lossAt(step) {
      const { steps, values } = this.track.loss;
      const [i, fraction] = between(steps, step);
      return values[3 * i] + (fraction ? fraction * (values[3 * i + 3] - values[3 * i]) : 0);
    }
  }

  const DASHES = { source: [2, 3], target: [], transformed: [8, 4], shared: [8, 3, 2, 3] };
  const ROLES = { source: "A", target: "B", transformed: "T(A)", shared: "shared density" };

  /* Entries of the legend: [text, draw], each once. */
  function legend(tracks, colors) {
    const entries = new Map();
    const dot = (color, kind) => (context) => {
      context.beginPath();
      if (kind === "x") {
        context.moveTo(10, 3);
        context.lineTo(18, 11);
        context.moveTo(18, 3);
        context.lineTo(10, 11);
        context.strokeStyle = color;
        context.lineWidth = 1.5;
        context.stroke();
      } else {
        marker(context, kind, 14, 7, 4);
        context.fillStyle = color;
        context.fill();
      }
    };
    for (const track of tracks) {
      const role = track.colorBy === "role";
      if (track.colorBy === "label") {
        track.names.forEach((name, k) => entries.set(`T(A), class ${name}`, dot(colors.of(LABEL_COLORS[k]), MARKERS[k])));
      } else if (role) entries.set("T(A)", dot(colors.of(COLORS.transformed), "o"));
      else {
        entries.set("T(A), by where a point came from", (context) => {
          for (let k = 0; k < 4; k += 1) dot(`hsl(${90 * k} 75% 45%)`, "o")(context, context.translate(k ? 6 : -9, 0));
        });
      }
      if (track.target) entries.set("B", role ? dot(colors.of(COLORS.target), "x") : dot(colors.quiet, "o"));
      if (track.density) {
        entries.set("shared density", (context) => {
          for (let k = 0; k < 4; k += 1) {
            context.globalAlpha = 0.15 * (k + 1);
            context.fillStyle = colors.shared;
            context.fillRect(7 * k, 1, 7, 12);
          }
        });
      }
      if (track.grid) {
        entries.set("a grid, moved by T", (context) => {
          context.strokeStyle = colors.text;
          context.globalAlpha = 0.5;
          for (let k = 0; k < 3; k += 1) context.strokeRect(2 + 8 * k, 1, 8, 12);
          context.strokeRect(2, 7, 24, 0);
        });
      }
      for (const [name] of track.ellipses) {
        entries.set(`${ROLES[name]}: 3σ ellipse`, (context) => {
          context.strokeStyle = colors.of(COLORS[name]);
          context.setLineDash(DASHES[name]);
          context.lineWidth = 2;
          context.strokeRect(0, 7, 28, 0);
        });
      }
    }
    return [...entries].map(([name, draw]) => {
      const ratio = window.devicePixelRatio || 1;
      const canvas = element("canvas", { width: 28 * ratio, height: 14 * ratio, style: "width:28px;height:14px" });
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      draw(context);
      return element("li", {}, [canvas, name]);
    });
  }

  const PLAY = "▶", PAUSE = "❚❚";

  function mount(root, data) {
    const steps = timeline(data.tracks);
    const last = steps.length - 1;
    const panels = data.tracks.map((track) => new Panel(track, steps[0], steps[last], data.tracks.length === 1));
    const list = element("ul", { class: "lrmf-player-legend", "aria-hidden": "true" });
    const button = element("button", { type: "button" });
    const slider = element("input", { type: "range", min: 0, max: last, step: "any", "aria-label": "Training step" });
    const output = element("output");
    const spoken = element("span", { class: "lrmf-player-spoken", role: "status" });
    const stage = root.querySelector(".lrmf-player-stage");
    const seconds = Math.min(Math.max(0.35 * last, 4), 10);
    let position = positionOf(steps, data.start);
    let playing = false, visible = true, before = null, colors = null;

    function recolor() {
      const name = scheme(root), dark = name === "dark";
      root.dataset.scheme = name;
      colors = {
        of: (color) => (dark && color[0] === "#" ? mix(color, "#ffffff", 0.3) : color),
        quiet: dark ? "#7d8692" : QUIET,
        shared: dark ? "#b9c2cf" : COLORS.shared,
        text: dark ? "#e4e8ee" : COLORS.reference,
        line: dark ? "#8b94a1" : COLORS.shared,
        grid: mix(dark ? "#ffffff" : "#000000", CARD[name], 0.88),
      };
      list.replaceChildren(...legend(data.tracks, colors));
      draw();
    }

    function words() {
      const step = stepAt(steps, position);
      const losses = panels.filter((panel) => panel.loss).map((panel) => {
        const name = panels.length > 1 ? `${panel.track.title}: ` : "";
        return `${name}loss ${text(Number(panel.lossAt(step).toFixed(2)))}`;
      });
      return [`step ${Math.round(step)} of ${steps[last]}`, ...losses].join(", ");
    }

    function draw() {
      const step = stepAt(steps, position);
      panels.forEach((panel) => panel.draw(step, colors));
      slider.value = position;
      slider.setAttribute("aria-valuetext", words());
      output.textContent = `step ${Math.round(step)}`;
    }

    function show(next) {
      position = Math.min(Math.max(next, 0), last);
      draw();
    }

    function tick(now) {
      if (!playing || !visible) {
        before = null;
        return;
      }
      if (before !== null) show(position + ((now - before) / 1000 / seconds) * last);
      before = now;
      if (position >= last) set(false);
      else requestAnimationFrame(tick);
    }

    function set(next) {
      if (next && position >= last) show(0);
      if (playing !== next) {
        playing = next;
        before = null;
        if (next) requestAnimationFrame(tick);
        spoken.textContent = `${next ? "Playing from" : "Paused at"} ${words()}`;
      }
      button.textContent = playing ? PAUSE : PLAY;
      button.setAttribute("aria-label", playing ? "Pause" : "Play");
    }

    button.addEventListener("click", () => set(!playing));
    slider.addEventListener("input", () => {
      set(false);
      show(slider.valueAsNumber);
    });
    slider.addEventListener("keydown", (event) => {
      const moves = {
        ArrowRight: Math.floor(position + 1 + 1e-6), ArrowUp: Math.floor(position + 1 + 1e-6),
        ArrowLeft: Math.ceil(position - 1 - 1e-6), ArrowDown: Math.ceil(position - 1 - 1e-6),
        PageUp: position + last / 5, PageDown: position - last / 5, Home: 0, End: last,
      };
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === " " || event.key === "Enter") set(!playing);
      else if (event.key in moves) {
        set(false);
        show(moves[event.key]);
      } else return;
      event.preventDefault();
    });
    for (const panel of panels) {
      if (!panel.loss) continue;
      const canvas = panel.loss.canvas;
      const scrub = (event) => {
        show(positionOf(steps, panel.stepOf(event.clientX - canvas.getBoundingClientRect().left)));
      };
      canvas.addEventListener("pointerdown", (event) => {
        set(false);
        canvas.setPointerCapture(event.pointerId);
        scrub(event);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (canvas.hasPointerCapture(event.pointerId)) scrub(event);
      });
    }

    stage.replaceChildren(
      element("div", { class: "lrmf-player-panels" }, panels.map((panel) => panel.element))
    );
    stage.after(list, element("div", { class: "lrmf-player-controls" }, [button, slider, output, spoken]));
    output.style.minWidth = `${5 + String(steps[last]).length}ch`;
    set(false);
    recolor();
    new ResizeObserver(draw).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
    const attributes = { attributes: true, attributeFilter: ["data-theme", "theme", "data-bs-theme", "class", "data-jp-theme-light"] };
    const theme = new MutationObserver(recolor);
    theme.observe(document.documentElement, attributes);
    theme.observe(document.body, attributes);
    let fresh = data.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    new IntersectionObserver(
      (entries) => {
        const now = entries[entries.length - 1];
        visible = now.isIntersecting;
        if (visible && playing) requestAnimationFrame(tick);
        if (fresh && now.intersectionRatio >= 0.5) {
          fresh = false;
          show(0);
          set(true);
        }
      },
      { threshold: [0, 0.5] }
    ).observe(stage);
  }

  async function start(root) {
    root.dataset.mounted = "yes";
    const text = atob(root.dataset.frames);
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    mount(root, decode(new Uint8Array(await new Response(stream).arrayBuffer())));
  }

  function mountAll() {
    // A browser from before 2023 keeps the still.
    if (typeof DecompressionStream === "undefined") return;
    document.querySelectorAll(".lrmf-player:not([data-mounted])").forEach(start);
  }

  window.lrmfPlayer = { mountAll };
  mountAll();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
})();
