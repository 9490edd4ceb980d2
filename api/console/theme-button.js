// The button that turns dark pages light and light ones dark, and remembers it.
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

function label() {
  button.ariaLabel = isDark() ? "Use light colours" : "Use dark colours";
  button.title = button.ariaLabel;
}

button.addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  label();
});
system.addEventListener("change", label);
button.hidden = false;
label();
