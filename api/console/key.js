// The API key that this tab sends: kept until the tab is closed, and by nobody but the browser.
import { announce, freshId, h } from "./dom.js";

const PLACE = "api-key";
const changed = new EventTarget();

export const apiKey = () => sessionStorage.getItem(PLACE) ?? "";

function change(key) {
  if (key) sessionStorage.setItem(PLACE, key);
  else sessionStorage.removeItem(PLACE);
  announce(key ? "The key is sent from now on." : "The key is forgotten.");
  changed.dispatchEvent(new Event("change"));
}

/** Call this once, when there is another key than now. */
export const onAnotherKey = (action, signal) => changed.addEventListener("change", action, { once: true, signal });

/** Where a key is entered, or forgotten. */
export function keyForm() {
  const id = freshId("key");
  const field = h("input", {
    id,
    type: "password",
    required: true,
    autocomplete: "off",
    spellcheck: false,
    placeholder: "hl_…",
  });
  const forget = h("button", { type: "button", hidden: !apiKey(), onclick: () => change("") }, "Forget it");
  const enter = (event) => {
    event.preventDefault();
    change(field.value.trim());
    field.value = "";
  };
  changed.addEventListener("change", () => {
    forget.hidden = !apiKey();
  });
  return h(
    "form",
    { class: "key stack", onsubmit: enter },
    h("div", { class: "field" }, h("label", { htmlFor: id }, "API key"), field),
    h("div", { class: "row" }, h("button", {}, "Use this key"), forget),
  );
}
