// Keys that people bring from other programs. Fields keep their own undo.
document.addEventListener("keydown", (event) => {
  const press = (id) => document.querySelector(`button#${id}:not([disabled])`)?.click();
  const command = event.ctrlKey || event.metaKey;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable=true]");
  if (command && event.key === "Enter") {
    event.preventDefault();
    press("make");
  } else if (command && !typing && event.key.toLowerCase() === "z") {
    event.preventDefault();
    press(event.shiftKey ? "redo" : "undo");
  }
});
