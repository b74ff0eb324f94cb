/* What is wider than its place scrolls by itself, and fades where more of it lies. Styles are in
   lrmf.css. The pure function is tested under Node.js. */
(function () {
  "use strict";

  const WIDE =
    "article :is(span.math, div.math mjx-container, figure, table, .cell_output pre, .cell_input pre)";

  /** Where the rest of a scrolling box lies: "", "left", "right" or "left right". */
  function rest(scrolled, inside, outside) {
    const sides = [];
    if (scrolled > 2) sides.push("left");
    if (scrolled + outside < inside - 2) sides.push("right");
    return sides.join(" ");
  }

  function start(document, window) {
    /** Whoever has no mouse scrolls a box with the arrow keys, once the focus is on it. */
    function reach(box, scrolls) {
      if (scrolls && !box.hasAttribute("tabindex")) {
        box.tabIndex = 0;
        box.dataset.reached = "";
      } else if (!scrolls && "reached" in box.dataset) {
        box.removeAttribute("tabindex");
        delete box.dataset.reached;
      }
    }

    function mark(box) {
      // A formula in a line takes its place as a box only where it must scroll.
      if (box.matches("span.math")) {
        const formula = box.firstElementChild;
        const line = box.closest("p, li, td, th, dd, figcaption") || box.parentElement;
        const wide = formula && line.clientWidth && formula.offsetWidth > line.clientWidth;
        box.classList.toggle("wide", Boolean(wide));
        if (!wide) {
          reach(box, false);
          return box.removeAttribute("data-rest");
        }
      }
      box.style.setProperty("--seen", box.scrollLeft + box.clientWidth + "px");
      box.dataset.rest = rest(box.scrollLeft, box.scrollWidth, box.clientWidth);
      reach(box, box.dataset.rest !== "");
    }

    function markAll() {
      document.querySelectorAll(WIDE).forEach(mark);
    }

    function begin() {
      // The theme leaves the way home outside of all landmarks.
      const home = document.querySelector(".sidebar-primary-item:has(> .navbar-brand)");
      if (home) {
        home.setAttribute("role", "navigation");
        home.setAttribute("aria-label", "Home");
      }
      for (const picture of document.querySelectorAll("article figure img")) {
        const note = () => picture.style.setProperty("--natural", picture.naturalWidth + "px");
        if (picture.complete) note();
        else picture.addEventListener("load", () => { note(); markAll(); }, { once: true });
      }
      document.addEventListener("scroll", (event) => {
        if (event.target.matches && event.target.matches(WIDE)) mark(event.target);
      }, { capture: true, passive: true });
      window.addEventListener("resize", markAll);
      window.addEventListener("load", () => {
        markAll();
        const mathjax = window.MathJax && window.MathJax.startup;
        if (mathjax && mathjax.promise) mathjax.promise.then(markAll);
      });
    }

    begin();
  }

  if (typeof module !== "undefined") {
    module.exports = { rest };
  } else {
    start(document, window);
  }
})();
