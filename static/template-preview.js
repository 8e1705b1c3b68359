/**
 * Keeps the preview of a template up to date while its sample data is typed.
 *
 * The HTML goes where the page's own button sends it: into a sandboxed frame. Everything else comes as JSON and becomes
 * text, never markup.
 */

const AFTER_MS = 350;

const preview = document.querySelector(".preview");
const form = preview.querySelector(".preview-form");
const state = preview.querySelector(".preview-state");
const frame = preview.querySelector("iframe");
let timer = null;
let question = 0;

/** Renders what is typed now; an answer that was overtaken by a later question is dropped. */
async function render() {
  const number = ++question;
  form.requestSubmit(form.querySelector(".preview-show"));
  try {
    const answer = await fetch(preview.dataset.feed, { method: "POST", body: new FormData(form), redirect: "manual" });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const shown = await answer.json();
    if (number === question) show(shown);
  } catch {
    if (number === question) state.textContent = "No answer; your session may have ended. Reload the page.";
  }
}

function show({ subject, text, missing, findings, fault }) {
  state.textContent = "";
  preview.querySelector(".preview-subject bdi").textContent = subject;
  preview.querySelector(".preview-text").textContent = text;
  const note = preview.querySelector(".preview-fault");
  note.textContent = fault;
  note.hidden = !fault;
  list(".preview-missing", missing, "code");
  list(".preview-findings", findings, "span");
}

function list(selector, texts, tag) {
  const section = preview.querySelector(selector);
  section.hidden = texts.length === 0;
  section.querySelector("ul").replaceChildren(
    ...texts.map((text) => {
      const item = document.createElement("li");
      const inner = document.createElement(tag);
      inner.textContent = text;
      item.append(inner);
      return item;
    }),
  );
}

form.querySelector("textarea").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(render, AFTER_MS);
});
for (const link of preview.querySelectorAll("[data-width]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    frame.classList.toggle("narrow", link.dataset.width === "phone");
    for (const other of preview.querySelectorAll("[data-width]")) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
  });
}
render();
