/* What a player draws: the panels of its tracks, on canvases, and the legend below them. */
(function () {
  "use strict";
  const { between, frame, ticks, text, frameOf, lossRange, ellipse, mix } = window.lrmfPlayer;

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
  const STD = 3; // of the ellipses
  const SIDES = 68; // pixels beside a box, for its numbers
  const DASHES = { source: [2, 3], target: [], transformed: [8, 4], shared: [8, 3, 2, 3] };
  const ROLES = { source: "A", target: "B", transformed: "T(A)", shared: "shared density" };
  const MARKERS = ["o", "^", "s", "D", "v", "<", ">", "p", "h", "*"];

  /* The colours of a dark or a light card. */
  function palette(name) {
    const dark = name === "dark";
    return {
      of: (color) => (dark && color[0] === "#" ? mix(color, "#ffffff", 0.3) : color),
      quiet: dark ? "#7d8692" : QUIET,
      shared: dark ? "#b9c2cf" : COLORS.shared,
      text: dark ? "#e4e8ee" : COLORS.reference,
      line: dark ? "#8b94a1" : COLORS.shared,
      grid: dark ? "#343a43" : "#e2e2e2",
    };
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
    if (kind === "x") {
      for (const sign of [-1, 1]) {
        context.moveTo(x - r, y - sign * r);
        context.lineTo(x + r, y + sign * r);
      }
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
    resize(heightFor) {
      const width = Math.max(120, this.canvas.clientWidth);
      const tall = heightFor(width);
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

  /* Grid, numbers, names and border of a box; an axis is [function to pixels, ticks, name]. */
  function axes(context, colors, box, [x, xs, nameX], [y, ys, nameY]) {
    const bottom = box.y + box.height;
    context.strokeStyle = colors.grid;
    context.fillStyle = colors.text;
    context.lineWidth = 1;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const value of xs) {
      context.strokeRect(Math.round(x(value)) + 0.5, box.y, 0, box.height);
      context.fillText(text(value), x(value), bottom + 5);
    }
    context.textBaseline = "alphabetic";
    context.fillText(nameX, box.x + box.width / 2, bottom + 34);
    context.save();
    context.translate(box.x - 39, box.y + box.height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(nameY, 0, 0);
    context.restore();
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of ys) {
      context.strokeRect(box.x, Math.round(y(value)) + 0.5, box.width, 0);
      context.fillText(text(value), box.x - 5, y(value));
    }
    context.strokeStyle = colors.line;
    context.strokeRect(box.x, box.y, box.width, box.height);
  }

  function clipped(context, box, draw) {
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width, box.height);
    context.clip();
    draw();
    context.restore();
  }

  /* The target: red crosses, or quiet discs where the moved points have many colours. */
  function targetStyle(track, colors) {
    return track.colorBy === "role" ? [colors.of(COLORS.target), "x"] : [colors.quiet, "o"];
  }

  class Panel {
    constructor(track, range, alone) {
      this.track = track;
      this.range = range;
      this.lossHeight = alone ? 230 : 150;
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
      const tall = (width) => Math.round((Math.min(width, 480) - SIDES) * shape) + 49;
      const [width, height] = this.plane.resize(tall);
      const context = this.plane.context;
      const { x, y, box } = frameOf(track.extent, { x: 50, y: 7, width: width - SIDES, height: height - 49 });
      const few = (pixels) => Math.max(3, Math.min(6, pixels / 45));
      const xs = ticks(left, right, few(box.width)), ys = ticks(bottom, top, few(box.height));
      context.clearRect(0, 0, width, height);
      axes(context, colors, box, [x, xs, track.axes[0]], [y, ys, track.axes[1]]);
      clipped(context, box, () => {
        if (track.density) this.drawDensity(frame(track.density, at), box, colors);
        if (track.grid) this.drawGrid(frame(track.grid, at), x, y, colors);
        if (track.target) {
          const [color, kind] = targetStyle(track, colors);
          this.drawPoints(track.target.values, null, color, kind, x, y);
        }
        const moved = frame(track.points, at);
        for (const [color, kind, rows] of this.groups) {
          this.drawPoints(moved, rows, colors.of(color), kind, x, y);
        }
        for (const [name, array] of track.ellipses) {
          const { x: mx, y: my, long, short, angle } = ellipse(frame(array, at), STD);
          const scale = x(1) - x(0);
          context.beginPath();
          context.ellipse(x(mx), y(my), scale * long, scale * short, -angle, 0, 2 * Math.PI);
          context.strokeStyle = colors.of(COLORS[name]);
          context.setLineDash(DASHES[name]);
          context.lineWidth = 2;
          context.stroke();
        }
      });
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
      const count = rows ? rows.length : values.length / 2;
      context.beginPath();
      for (let k = 0; k < count; k += 1) {
        const i = rows ? rows[k] : k;
        marker(context, kind, x(values[2 * i]), y(values[2 * i + 1]), 2.2);
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
      const [width, height] = this.loss.resize(() => this.lossHeight);
      const context = this.loss.context;
      const box = { x: 50, y: 6, width: width - SIDES, height: height - 48 };
      const [low, high] = this.limits, [first, last] = this.range;
      const x = (value) => box.x + ((value - first) / (last - first)) * box.width;
      const y = (value) => box.y + ((high - value) / (high - low)) * box.height;
      this.stepOf = (px) => first + ((px - box.x) / box.width) * (last - first);
      const xs = ticks(first, last, Math.max(3, Math.min(5, box.width / 60)));
      context.clearRect(0, 0, width, height);
      axes(context, colors, box, [x, xs, "training step"], [y, ticks(low, high, box.height / 25), loss.label]);
      clipped(context, box, () => {
        const count = loss.steps.length;
        const line = (k, column) => context.lineTo(x(loss.steps[k]), y(loss.values[3 * k + column]));
        context.beginPath();
        for (let k = 0; k < count; k += 1) line(k, 1);
        for (let k = count - 1; k >= 0; k -= 1) line(k, 2);
        context.fillStyle = context.strokeStyle = colors.shared;
        context.globalAlpha = 0.25;
        context.fill();
        context.globalAlpha = 1;
        context.beginPath();
        for (let k = 0; k < count; k += 1) line(k, 0);
        context.lineWidth = 1.8;
        context.stroke();
        if (low < 0 && high > 0) {
          context.setLineDash([5, 4]);
          context.lineWidth = 1;
          context.strokeStyle = colors.text;
          context.strokeRect(box.x, y(0), box.width, 0);
        }
      });
      const at = Math.min(Math.max(step, this.track.steps[0]), this.track.steps[this.track.steps.length - 1]);
      context.strokeStyle = context.fillStyle = colors.of(COLORS.highlight);
      context.lineWidth = 1.5;
      context.strokeRect(x(at), box.y, 0, box.height);
      context.beginPath();
      context.arc(x(at), Math.max(box.y, y(this.lossAt(at))), 5, 0, 2 * Math.PI);
      context.fill();
    }

    lossAt(step) {
      const { steps, values } = this.track.loss;
      const [i, fraction] = between(steps, step);
      return values[3 * i] + (fraction ? fraction * (values[3 * i + 3] - values[3 * i]) : 0);
    }
  }

  /* What a legend's line shows: [name, draw into 28 x 14 pixels]. */
  function legendOf(track, colors) {
    const dot = (color, kind, x = 14) => (context) => {
      context.beginPath();
      marker(context, kind, x, 7, 4);
      context.fillStyle = context.strokeStyle = color;
      context.lineWidth = 1.5;
      if (kind === "x") context.stroke();
      else context.fill();
    };
    const entries = [];
    if (track.colorBy === "label") {
      track.names.forEach((name, k) => {
        const words = /^[-\d.]+$/.test(name) ? `class ${name}` : name;
        entries.push([`T(A), ${words}`, dot(colors.of(LABEL_COLORS[k]), MARKERS[k])]);
      });
    } else if (track.colorBy === "role") entries.push(["T(A)", dot(colors.of(COLORS.transformed), "o")]);
    else {
      const hues = [0, 1, 2, 3].map((k) => dot(`hsl(${90 * k} 75% 45%)`, "o", 5 + 6 * k));
      entries.push(["T(A), a hue for each origin", (context) => hues.forEach((draw) => draw(context))]);
    }
    if (track.target) entries.push(["B", dot(...targetStyle(track, colors))]);
    if (track.density) {
      entries.push(["shared density", (context) => {
        context.fillStyle = colors.shared;
        for (let k = 0; k < 4; k += 1) {
          context.globalAlpha = 0.16 * (k + 1);
          context.fillRect(7 * k, 1, 7, 12);
        }
      }]);
    }
    if (track.grid) {
      entries.push(["a grid, moved by T", (context) => {
        context.strokeStyle = colors.text;
        context.globalAlpha = 0.5;
        for (let k = 0; k < 3; k += 1) context.strokeRect(2 + 8 * k, 1, 8, 12);
        context.strokeRect(2, 7, 24, 0);
      }]);
    }
    for (const [name] of track.ellipses) {
      entries.push([`${ROLES[name]}: 3σ ellipse`, (context) => {
        context.strokeStyle = colors.of(COLORS[name]);
        context.setLineDash(DASHES[name]);
        context.lineWidth = 2;
        context.strokeRect(0, 7, 28, 0);
      }]);
    }
    return entries;
  }

  /* The legend of all tracks, each line once. */
  function legend(tracks, colors) {
    const entries = new Map(tracks.flatMap((track) => legendOf(track, colors)));
    const ratio = window.devicePixelRatio || 1;
    return [...entries].map(([name, draw]) => {
      const canvas = element("canvas", { width: 28 * ratio, height: 14 * ratio, style: "width:28px;height:14px" });
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      draw(context);
      return element("li", {}, [canvas, name]);
    });
  }

  Object.assign(window.lrmfPlayer, { Panel, element, legend, palette, scheme });
})();
