// Everything that came from a model or a document is put in by textContent: it is shown, never run.
"use strict";
const SIDES = ["left", "right"];
const STEPS = [null, true, false]; // not said, yes, no
const blank = () => ({ choice: null, left: { grounded: null, correct: null }, right: { grounded: null, correct: null } });
let reviewer = localStorage.getItem("reviewer") || "";
let items = [], at = 0, draft = blank(), sent = [], busy = false;

const say = (text) => { $("status").textContent = text; };

async function load() {
  const told = await call("/api/queue?reviewer=" + encodeURIComponent(reviewer));
  items = told.items;
  at = items.findIndex((item) => !item.vote);
  if (at < 0) at = items.length;
  show();
}

function show() {
  const done = items.filter((item) => item.vote).length;
  $("progress").max = Math.max(items.length, 1);
  $("progress").value = done;
  $("count").textContent = `${done} of ${items.length}`;
  $("who").textContent = reviewer && `as ${reviewer}`;
  $("name-form").hidden = Boolean(reviewer);
  const item = items[at];
  $("work").hidden = !reviewer || !item;
  $("done").hidden = !reviewer || Boolean(item);
  $("done").textContent = items.length ? "Nothing is left for you. k goes back to your votes." : "Nothing is to be reviewed.";
  if (!reviewer) { $("name").focus(); return; }
  if (!item) return;
  draft = item.vote ? structuredClone(item.vote) : blank();
  $("question").textContent = item.question;
  for (const side of SIDES) fillSide(side, item[side]);
  marks();
  $("question").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function fillSide(side, answer) {
  const name = side === "left" ? "Left" : "Right";
  const section = $(side);
  section.replaceChildren(element("h3", name), element("p", answer.text || "(no answer)", "answer"));
  if (answer.sources.length) {
    const details = element("details");
    details.append(element("summary", `Cited: ${answer.sources.length}`));
    for (const source of answer.sources) details.append(element("div", source.uri), element("blockquote", source.text));
    section.append(details);
  }
  const rubric = element("div", undefined, "rubric");
  for (const what of ["grounded", "correct"]) {
    const button = element("button");
    button.type = "button";
    button.dataset.side = side;
    button.dataset.what = what;
    button.addEventListener("click", () => turn(side, what));
    rubric.append(button);
  }
  section.append(rubric);
}

function marks() {
  for (const button of document.querySelectorAll("[data-choice]"))
    button.setAttribute("aria-pressed", String(draft.choice === button.dataset.choice));
  for (const side of SIDES) $(side).classList.toggle("chosen", draft.choice === side);
  for (const button of document.querySelectorAll("[data-what]")) {
    const { side, what } = button.dataset;
    const value = draft[side][what];
    const told = value === null ? "not said" : value ? "yes" : "no";
    const key = side === "left" ? what[0] : what[0].toUpperCase();
    button.replaceChildren(element("kbd", key), ` ${what}: ${told}`);
    button.setAttribute("aria-label", `${side} answer, ${what}: ${told}`);
    button.setAttribute("aria-pressed", String(value !== null));
  }
  $("send").disabled = draft.choice === null;
}

function choose(choice) { draft.choice = choice; marks(); say(""); }

function turn(side, what) {
  draft[side][what] = STEPS[(STEPS.indexOf(draft[side][what]) + 1) % STEPS.length];
  marks();
}

function move(by) {
  at = Math.min(Math.max(at + by, 0), items.length);
  say("");
  show();
}

async function once(act) {
  if (busy) return;
  busy = true;
  try { await act(); } catch (error) { say(`Not done: ${error.message}`); } finally { busy = false; }
}

function send() {
  const item = items[at];
  if (!item || draft.choice === null) { say("Choose first: 1 left, 2 right, 0 tie."); return; }
  const vote = structuredClone(draft);
  once(async () => {
    await call("/api/votes", { item: item.id, reviewer, ...vote });
    item.vote = vote;
    sent.push(item.id);
    const left = items.findIndex((each, i) => i > at && !each.vote);
    at = left >= 0 ? left : items.findIndex((each) => !each.vote);
    if (at < 0) at = items.length;
    show();
    say("Sent.");
  });
}

function undo() {
  const item = items[at];
  if (item && !item.vote && JSON.stringify(draft) !== JSON.stringify(blank())) { draft = blank(); marks(); return; }
  const last = item && item.vote ? item.id : sent[sent.length - 1];
  if (!last) { say("Nothing to undo."); return; }
  once(async () => {
    await call("/api/undo", { item: last, reviewer });
    sent = sent.filter((id) => id !== last);
    at = items.findIndex((each) => each.id === last);
    items[at].vote = null;
    show();
    say("Taken back.");
  });
}

const KEYS = {
  1: () => choose("left"), 2: () => choose("right"), 0: () => choose("tie"),
  g: () => turn("left", "grounded"), c: () => turn("left", "correct"),
  G: () => turn("right", "grounded"), C: () => turn("right", "correct"),
  j: () => move(1), k: () => move(-1), u: undo, "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !reviewer || $("help").open) return;
  if (event.key === "Enter") {
    if (event.target.closest("button, summary")) return; // a focused button does what it says
    event.preventDefault();
    send();
    return;
  }
  const act = KEYS[event.key];
  if (!act || (!items[at] && !"ku?".includes(event.key))) return;
  event.preventDefault();
  act();
});

for (const button of document.querySelectorAll("[data-choice]"))
  button.addEventListener("click", () => { choose(button.dataset.choice); });
// After a click by mouse the keys go on: Enter sends, rather than pressing the same button again.
$("work").addEventListener("click", (event) => { if (event.detail) $("question").focus({ preventScroll: true }); });
$("send").addEventListener("click", send);
$("undo").addEventListener("click", undo);
$("next").addEventListener("click", () => move(1));
$("back").addEventListener("click", () => move(-1));
$("help-button").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  reviewer = $("name").value.trim();
  if (!reviewer) return;
  localStorage.setItem("reviewer", reviewer);
  once(load);
});
if (reviewer) once(load); else show();
