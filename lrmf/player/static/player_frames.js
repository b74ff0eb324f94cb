/* What a player computes: its arrays from the bytes that lrmf.player.encoding wrote, the frame at a
   moment between two snapshots, and the numbers on its axes. Pure functions, which the tests run under
   Node.js against the library. */
(function () {
  "use strict";

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
     ends at four times the height that nine tenths of the bins stay below. Zero means aligned; where it
     is near, it is shown. */
  function lossRange(values) {
    const means = [];
    for (let i = 0; i < values.length; i += 3) means.push(values[i]);
    const sorted = means.sort((a, b) => a - b);
    const least = sorted[0], peak = sorted[sorted.length - 1];
    const most = sorted[Math.floor(0.9 * (sorted.length - 1))];
    const high = most > least ? Math.min(peak, least + 4 * (most - least)) : peak;
    const low = least > 0 && least < 0.3 * high ? 0 : least;
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
    header, numbers, decode, timeline, between, stepAt, positionOf, frame, ticks, text, frameOf, lossRange, ellipse, mix,
  };
  if (typeof module !== "undefined" && module.exports) module.exports = pure;
  else window.lrmfPlayer = { ...window.lrmfPlayer, ...pure };
})();
