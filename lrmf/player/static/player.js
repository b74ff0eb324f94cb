/* Makes each player of a page play: its button, its slider, its loss that one can move along.

   A page may hold several players and, as the outputs of a notebook do, these scripts several times.
   Without them one sees a still of one frame. */
(function () {
  "use strict";
  const { Panel, decode, element, legend, palette, positionOf, scheme, stepAt, text, timeline } = window.lrmfPlayer;

  const PLAY = "▶", PAUSE = "❚❚";

  function mount(root, data) {
    const steps = timeline(data.tracks);
    const last = steps.length - 1;
    const alone = data.tracks.length === 1;
    const panels = data.tracks.map((track) => new Panel(track, [steps[0], steps[last]], alone));
    const list = element("ul", { class: "lrmf-player-legend", "aria-hidden": "true" });
    const button = element("button", { type: "button" });
    const slider = element("input", {
      type: "range", min: 0, max: last, step: "any", "aria-label": "Training step",
    });
    const output = element("output");
    const spoken = element("span", { class: "lrmf-player-spoken", role: "status" });
    const stage = root.querySelector(".lrmf-player-stage");
    const seconds = Math.min(Math.max(0.35 * last, 4), 10);
    let position = positionOf(steps, data.start);
    let playing = false, visible = true, before = null, pending = false, colors = null, left = null;

    function recolor() {
      // Paper is white, and browsers leave backgrounds out.
      root.dataset.scheme = left === null ? scheme(root) : "light";
      colors = palette(root.dataset.scheme);
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
      pending = false;
      // A tab in the background gets no ticks: go on from where it was, not from where it would be.
      const passed = before === null ? 0 : Math.min((now - before) / 1000, 0.1);
      if (!playing || !visible) return;
      show(position + (passed / seconds) * last);
      before = now;
      if (position >= last) set(false);
      else run();
    }

    function run() {
      if (pending) return;
      pending = true;
      requestAnimationFrame(tick);
    }

    function set(next) {
      if (next && position >= last) show(0);
      if (playing !== next) {
        playing = next;
        before = null;
        if (next) run();
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
      const next = Math.floor(position + 1 + 1e-6), previous = Math.ceil(position - 1 - 1e-6);
      const moves = {
        ArrowRight: next, ArrowUp: next, ArrowLeft: previous, ArrowDown: previous,
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
    const controls = element("div", { class: "lrmf-player-controls" }, [button, slider, output, spoken]);
    stage.after(list, controls);
    output.style.minWidth = `${5 + String(steps[last]).length}ch`;
    recolor();
    set(false);
    new ResizeObserver(draw).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
    const theme = new MutationObserver(recolor);
    const attributeFilter = ["data-theme", "theme", "data-bs-theme", "data-jp-theme-light", "class"];
    theme.observe(document.documentElement, { attributeFilter });
    theme.observe(document.body, { attributeFilter });
    // On paper nothing moves: the last frame stands for all, and back on screen it is where it was.
    addEventListener("beforeprint", () => {
      set(false);
      left = position;
      position = last;
      recolor();
    });
    addEventListener("afterprint", () => {
      position = left;
      left = null;
      recolor();
    });
    let fresh = data.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    new IntersectionObserver(
      (entries) => {
        const now = entries[entries.length - 1];
        if (visible !== now.isIntersecting) before = null;
        visible = now.isIntersecting;
        if (visible && playing) run();
        // On a phone the panels may be taller than the window.
        const seen = Math.max(now.intersectionRatio, now.intersectionRect.height / window.innerHeight);
        if (fresh && left === null && seen >= 0.5) {
          fresh = false;
          show(0);
          set(true);
        }
      },
      { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5] }
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
    document.querySelectorAll(".lrmf-player[data-frames]:not([data-mounted])").forEach(start);
  }

  mountAll();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
})();
