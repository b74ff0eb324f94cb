/* Meshes that the reader turns, by dragging, by touch or by keys. One view serves all panels.

   They are drawn triangle by triangle into a picture with a depth for each pixel: a few thousand small
   triangles take milliseconds, and no graphics driver is asked. The pure functions run under Node.js
   in the tests, against lrmf._plot_mesh. */
(function () {
  "use strict";
  const AMBIENT = 0.35, INSIDE = 0.55;
  const LIGHT = [0.4, 0.6, 0.7].map((x) => x / Math.hypot(0.4, 0.6, 0.7));

  /* The rows right, up and towards the viewer of a view in degrees. */
  function camera(azimuth, elevation) {
    const a = (azimuth * Math.PI) / 180, e = (elevation * Math.PI) / 180;
    const [sa, ca, se, ce] = [Math.sin(a), Math.cos(a), Math.sin(e), Math.cos(e)];
    return [[-sa, ca, 0], [-se * ca, -se * sa, ce], [ce * ca, ce * sa, se]];
  }

  /* Vertices in the camera's axes, one after the other. */
  function turned(vertices, view) {
    const seen = new Float32Array(vertices.length);
    for (let i = 0; i < vertices.length; i += 3) {
      for (let k = 0; k < 3; k += 1) {
        const row = view[k];
        seen[i + k] = row[0] * vertices[i] + row[1] * vertices[i + 1] + row[2] * vertices[i + 2];
      }
    }
    return seen;
  }

  /* How bright a face is, in [0, 1]: Lambert's law, and the inside of a surface is darker. */
  function shade(seen, i, j, k) {
    const [a, b, c] = [i, j, k].map((at) => 3 * at);
    const u = [0, 1, 2].map((d) => seen[b + d] - seen[a + d]);
    const v = [0, 1, 2].map((d) => seen[c + d] - seen[a + d]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const length = Math.hypot(...n) || 1;
    const outside = n[2] >= 0;
    const lit = ((outside ? 1 : -1) * (n[0] * LIGHT[0] + n[1] * LIGHT[1] + n[2] * LIGHT[2])) / length;
    return (AMBIENT + (1 - AMBIENT) * Math.max(lit, 0)) * (outside ? 1 : INSIDE);
  }

  /* A mesh as RGBA of a square picture; `reach` is the distance from the origin to its edge. `lift`
     from 0 to 1 makes it lighter, for a dark page. */
  function picture(mesh, view, size, reach, lift) {
    const { faces, colors } = mesh;
    const seen = turned(mesh.vertices, view);
    const pixels = new Uint8ClampedArray(4 * size * size);
    const depth = new Float32Array(size * size).fill(-Infinity);
    const scale = size / (2 * reach);
    for (let f = 0; f < faces.length; f += 3) {
      const [i, j, k] = [faces[f], faces[f + 1], faces[f + 2]];
      const bright = shade(seen, i, j, k);
      const rgb = [0, 1, 2].map((d) => {
        const color = (colors[3 * i + d] + colors[3 * j + d] + colors[3 * k + d]) / 3;
        return 255 * bright * (color + lift * (1 - color));
      });
      const [ax, bx, cx] = [i, j, k].map((at) => size / 2 + scale * seen[3 * at]);
      const [ay, by, cy] = [i, j, k].map((at) => size / 2 - scale * seen[3 * at + 1]);
      const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
      if (area === 0) continue;
      const left = Math.max(0, Math.floor(Math.min(ax, bx, cx)));
      const right = Math.min(size - 1, Math.ceil(Math.max(ax, bx, cx)));
      const bottom = Math.min(size - 1, Math.ceil(Math.max(ay, by, cy)));
      for (let y = Math.max(0, Math.floor(Math.min(ay, by, cy))); y <= bottom; y += 1) {
        for (let x = left; x <= right; x += 1) {
          /* Shares of the corners at the pixel's centre. */
          const q = ((cx - bx) * (y + 0.5 - by) - (cy - by) * (x + 0.5 - bx)) / area;
          const r = ((ax - cx) * (y + 0.5 - cy) - (ay - cy) * (x + 0.5 - cx)) / area;
          const s = 1 - q - r;
          if (q < -1e-6 || r < -1e-6 || s < -1e-6) continue;
          const near = q * seen[3 * i + 2] + r * seen[3 * j + 2] + s * seen[3 * k + 2];
          const at = y * size + x;
          if (near <= depth[at]) continue;
          depth[at] = near;
          pixels.set(rgb, 4 * at);
          pixels[4 * at + 3] = 255;
        }
      }
    }
    return pixels;
  }

  /* Meshes from the bytes that lrmf.player.turntable wrote. */
  function meshes(bytes, { header, numbers }) {
    const { head, body } = header(bytes);
    const arrays = head.arrays.map((entry) => numbers(entry, body));
    return {
      ...head,
      meshes: head.meshes.map(({ title, vertices, faces, colors }) => ({
        title,
        vertices: arrays[vertices],
        faces: Uint16Array.from(arrays[faces], Math.round),
        colors: arrays[colors],
      })),
    };
  }

  /* A view within its limits: any angle about the vertical, at most upright above and below. */
  function limited([azimuth, elevation]) {
    return [((((azimuth + 180) % 360) + 360) % 360) - 180, Math.min(Math.max(elevation, -90), 90)];
  }

  const pure = { camera, turned, shade, picture, meshes, limited };
  if (typeof module !== "undefined" && module.exports) {
    module.exports = pure;
    return;
  }

  function mount(root, data) {
    const { element, scheme } = window.lrmfPlayer;
    let view = data.view, pending = false;
    const reach = 1.04 * Math.max(...data.meshes.map(({ vertices }) => {
      let most = 0;
      for (let i = 0; i < vertices.length; i += 3) {
        most = Math.max(most, Math.hypot(vertices[i], vertices[i + 1], vertices[i + 2]));
      }
      return most;
    }));
    const canvases = data.meshes.map(() => element("canvas", { class: "lrmf-player-solid" }));
    const panels = data.meshes.map(({ title }, k) => {
      const name = element("div", { class: "lrmf-player-title" }, [title]);
      return element("div", {}, [name, canvases[k]]);
    });
    const slider = (label, least, most) => element("input", {
      type: "range", min: least, max: most, step: 5, "aria-label": label,
    });
    const turn = slider("Turn, in degrees", -180, 180), tilt = slider("Tilt, in degrees", -90, 90);

    function draw() {
      pending = false;
      root.dataset.scheme = scheme(root);
      const rows = camera(...view);
      data.meshes.forEach((mesh, k) => {
        const canvas = canvases[k];
        const width = Math.max(80, canvas.clientWidth);
        const size = Math.round(width * Math.min(window.devicePixelRatio || 1, 2));
        if (canvas.width !== size) canvas.width = canvas.height = size;
        canvas.style.height = `${width}px`;
        const lift = root.dataset.scheme === "dark" ? 0.25 : 0;
        const pixels = picture(mesh, rows, size, reach, lift);
        canvas.getContext("2d").putImageData(new ImageData(pixels, size, size), 0, 0);
      });
      turn.value = view[0];
      tilt.value = view[1];
    }

    function look(next) {
      view = limited(next);
      if (pending) return;
      pending = true;
      requestAnimationFrame(draw);
    }

    turn.addEventListener("input", () => look([turn.valueAsNumber, view[1]]));
    tilt.addEventListener("input", () => look([view[0], tilt.valueAsNumber]));
    for (const canvas of canvases) {
      let last = null;
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        last = [event.clientX, event.clientY];
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!last || !canvas.hasPointerCapture(event.pointerId)) return;
        look([view[0] - 0.6 * (event.clientX - last[0]), view[1] + 0.6 * (event.clientY - last[1])]);
        last = [event.clientX, event.clientY];
      });
    }
    const stage = root.querySelector(".lrmf-player-stage");
    stage.replaceChildren(element("div", { class: "lrmf-player-panels" }, panels));
    stage.tabIndex = 0;
    stage.addEventListener("keydown", (event) => {
      const [a, e] = view;
      const moves = {
        ArrowLeft: [a - 10, e], ArrowRight: [a + 10, e], ArrowUp: [a, e + 10], ArrowDown: [a, e - 10],
        Home: data.view,
      };
      if (event.altKey || event.ctrlKey || event.metaKey || !(event.key in moves)) return;
      look(moves[event.key]);
      event.preventDefault();
    });
    const names = [["turn", turn], ["tilt", tilt]];
    const labels = names.map(([name, input]) => element("label", {}, [name, input]));
    stage.after(element("div", { class: "lrmf-player-controls" }, labels));
    draw();
    new ResizeObserver(() => look(view)).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => look(view));
    const theme = new MutationObserver(() => look(view));
    const attributeFilter = ["data-theme", "theme", "data-bs-theme", "data-jp-theme-light", "class"];
    theme.observe(document.documentElement, { attributeFilter });
    theme.observe(document.body, { attributeFilter });
  }

  async function start(root) {
    root.dataset.mounted = "yes";
    const bytes = Uint8Array.from(atob(root.dataset.meshes), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const whole = new Uint8Array(await new Response(stream).arrayBuffer());
    mount(root, meshes(whole, window.lrmfPlayer));
  }

  function mountAll() {
    // A browser from before 2023 keeps the still.
    if (typeof DecompressionStream === "undefined") return;
    document.querySelectorAll(".lrmf-player[data-meshes]:not([data-mounted])").forEach(start);
  }

  mountAll();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
})();
