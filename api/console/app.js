// Routes of the form #view/argument, and what is around the views.
import * as batches from "./batches.js";
import * as classify from "./classify.js";
import * as models from "./models.js";
import * as system from "./system.js";
import "./theme-button.js";
import * as training from "./training.js";

const VIEWS = { classify, batches, training, models, system };
const content = document.getElementById("content");
let current;
let leave = new AbortController();

/** Show what the address says. A view gets its signal, which is aborted when the user goes elsewhere. */
function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const chosen = VIEWS[name] ? name : "classify";
  leave.abort();
  leave = new AbortController();
  for (const link of document.querySelectorAll("nav.views a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const outlet = document.createElement("div");
  outlet.className = `view ${chosen}`;
  content.replaceChildren(outlet);
  VIEWS[chosen].show(outlet, decodeURIComponent(rest.join("/")), leave.signal);
  const heading = outlet.querySelector("h1");
  document.title = `${heading.textContent} · Hemline`;
  if (current !== undefined) {
    // not on the first page, where the reader begins at the top anyway
    window.scrollTo(0, 0);
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  current = chosen;
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is a route
  content.focus();
});
addEventListener("hashchange", route);
route();
