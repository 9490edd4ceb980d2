// What a page of the guide can do beyond being read: its code can be copied.
import "./theme-button.js";

const said = document.createElement("p");
said.className = "hidden";
said.role = "status";
document.body.append(said);

function copyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(pre.textContent.trimEnd());
    } catch { // pages that come neither by HTTPS nor from this machine have no clipboard
      getSelection().selectAllChildren(pre);
      done = "Selected";
    }
    button.textContent = done;
    said.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
}

for (const pre of document.querySelectorAll(".code pre")) pre.after(copyButton(pre));
