/* Which backend's cells a page shows. The build puts this script into every page that has such
   cells, behind the switch and before the cells. Its functions are tested under Node.js. */
(function () {
  "use strict";

  const KEY = "lrmf-backend";
  const BACKENDS = ["jax", "tfp"];
  const CELLS = BACKENDS.map((name) => ".tag_backend-" + name).join(", ");

  /** The backend that a stored or typed value means. */
  function known(value) {
    return BACKENDS.includes(value) ? value : BACKENDS[0];
  }

  /** The backend that a cell with these classes belongs to, or null. */
  function backendOf(classes) {
    const found = BACKENDS.filter((name) => Array.from(classes).includes("tag_backend-" + name));
    return found.length === 1 ? found[0] : null;
  }

  /** What the reader chose before. Where storage is blocked, even asking for it throws. */
  function recall(storage) {
    try {
      return known(storage().getItem(KEY));
    } catch (error) {
      return BACKENDS[0];
    }
  }

  /** Keep a choice for other pages; returns whether it could be kept. */
  function remember(storage, backend) {
    try {
      storage().setItem(KEY, backend);
      return true;
    } catch (error) {
      return false;
    }
  }

  /** The id that an address leads to: what follows its hash sign. */
  function idOf(hash) {
    try {
      return decodeURIComponent(hash.slice(1));
    } catch (error) {
      return hash.slice(1);
    }
  }

  /** Of blocks in the order of the page, the last one that starts above the line, or the first. */
  function fixedBlock(tops, line) {
    let found = 0;
    tops.forEach((top, index) => {
      if (top <= line) found = index;
    });
    return found;
  }

  function start(document, window) {
    const storage = () => window.localStorage;
    const html = document.documentElement;
    // Hidden in this way a cell is still found by the browser's own search, which then shows it.
    const searchable = "onbeforematch" in html;

    function show(backend) {
      html.dataset.lrmfBackend = backend;
      for (const button of document.querySelectorAll(".lrmf-backends input")) {
        button.checked = button.value === backend;
      }
      for (const cell of document.querySelectorAll(CELLS)) {
        if (backendOf(cell.classList) === backend) cell.removeAttribute("hidden");
        else if (searchable) cell.setAttribute("hidden", "until-found");
      }
    }

    /** Show a backend; what the reader looks at stays where it is in the window. */
    function choose(backend) {
      const blocks = Array.from(document.querySelectorAll("article section > *")).filter(
        (block) => block.offsetHeight > 0 && !block.matches(CELLS + ", section, .lrmf-backends"));
      const tops = () => blocks.map((block) => block.getBoundingClientRect().top);
      const before = tops();
      show(backend);
      if (!blocks.length) return;
      const fixed = fixedBlock(before, window.innerHeight / 3);
      const moved = tops()[fixed] - before[fixed];
      if (moved) window.scrollBy({ top: moved, behavior: "instant" });
    }

    /** A link into a cell that is not shown shows it, and forgets nothing of what was chosen. */
    function follow() {
      const target = document.getElementById(idOf(window.location.hash));
      const cell = target && target.closest(CELLS);
      if (!cell) return;
      show(backendOf(cell.classList));
      target.scrollIntoView();
    }

    show(recall(storage)); // the cells follow behind this script: for them it is a matter of style
    document.addEventListener("change", (event) => {
      if (!event.target.matches(".lrmf-backends input")) return;
      choose(event.target.value);
      remember(storage, event.target.value);
    });
    // The browser's own handling would scroll, in vain, to bring a switch that sticks to the window
    // below the margin that the theme keeps for its bar.
    document.addEventListener("keydown", (event) => {
      const held = event.altKey || event.ctrlKey || event.metaKey;
      if (held || !event.key.startsWith("Arrow")) return;
      if (!event.target.matches(".lrmf-backends input")) return;
      event.preventDefault();
      const other = document.querySelector(".lrmf-backends input:not(:checked)");
      other.focus({ preventScroll: true });
      choose(other.value);
      remember(storage, other.value);
    });
    document.addEventListener("DOMContentLoaded", () => {
      show(html.dataset.lrmfBackend);
      follow();
    });
    document.addEventListener("beforematch", (event) => {
      const cell = event.target.closest(CELLS);
      if (cell) show(backendOf(cell.classList));
    });
    window.addEventListener("hashchange", follow);
    window.addEventListener("storage", (event) => {
      if (event.key === KEY || event.key === null) choose(known(event.newValue));
    });
    window.addEventListener("pageshow", (event) => {
      // "Back" may bring a page as it was left; meanwhile the reader may have chosen anew.
      if (event.persisted) show(recall(storage));
    });
  }

  if (typeof module !== "undefined") {
    module.exports = { KEY, BACKENDS, known, backendOf, recall, remember, idOf, fixedBlock };
  } else {
    start(document, window);
  }
})();
