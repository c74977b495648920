// Gradio's own fields of the first screen, where they leave a user in the dark.
MVStudio.fields = (() => {
  const held = new WeakMap(); // number field → what it held when somebody came to it

  // A number that is none, or out of range: a word, and what was there before. Gradio would send nothing, or clamp.
  const check = (field) => {
    const { validity, min, max, step } = field;
    if (field.value !== "" && validity.valid) {
      held.set(field, field.value);
      return;
    }
    const name = field.getAttribute("aria-label").replace(/^number input for /, ""),
      kind = step === "1" ? "a whole number" : "a number",
      range = min !== "" && max !== "" ? ` from ${min} to ${max}` : "";
    MVStudio.toast(`${name}: expected ${kind}${range}; ${held.get(field)} is back`);
    field.value = held.get(field);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const numeric = ({ target }) => target.matches?.("#wishes input[type=number]");
  document.addEventListener("focusin", (event) => numeric(event) && held.set(event.target, event.target.value));
  document.addEventListener("change", (event) => numeric(event) && check(event.target), true); // before gradio's own

  // A list without a label of its own says what it is for.
  const named = () => {
    const picker = document.querySelector("#picker input");
    if (picker) picker.placeholder = "Open a project";
  };
  return { named };
})();
