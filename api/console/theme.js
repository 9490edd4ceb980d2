// Before anything is drawn, so that a page that is to be dark never flashes white.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
