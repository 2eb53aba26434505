// Everything that came from an attack or a model is put in by textContent: it is shown, never run.
"use strict";
let reviewer = localStorage.getItem("reviewer") || "";
let busy = false;

async function once(act) {
  if (busy) return;
  busy = true;
  try { await act(); } catch (error) { $("status").textContent = `Not done: ${error.message}`; } finally { busy = false; }
}

async function load() {
  $("who").textContent = reviewer && `as ${reviewer}`;
  $("name-form").hidden = Boolean(reviewer);
  if (!reviewer) { $("name").focus(); return; }
  const told = await call("/api/findings");
  $("releases").replaceChildren(...told.releases.map((release) => shown(release, told)));
  if (!told.releases.length) $("releases").append(element("p", "No release waits or serves."));
}

function shown(release, told) {
  const part = element("div");
  part.append(element("h2", `Release ${release.id.slice(0, 12)}, ${release.state}, trained by ${release.trained_by}`));
  if (!release.findings.length) part.append(element("p", "No attack got through."));
  for (const finding of release.findings) part.append(card(finding, release, told));
  return part;
}

function state(finding, release) {
  if (finding.waiver) return `waived until ${finding.until} by ${finding.waiver.who} (${finding.waiver.role}): ${finding.waiver.why}`;
  const ended = finding.ended ? `, its waiver ended on ${finding.ended}` : "";
  if (!finding.blocking) return `open, does not hold up the approval${ended}`;
  return (release.state === "production" ? "overdue" : "holds up the approval") + ended;
}

function card(finding, release, told) {
  const made = element("section", undefined, "finding");
  made.id = `finding-${finding.id.slice(0, 12)}-${release.id.slice(0, 12)}`;
  made.classList.toggle("chosen", finding.blocking && finding.state === "open");
  const title = element("h3", `${finding.severity}: ${finding.category.replaceAll("_", " ")} `);
  title.append(element("code", finding.id.slice(0, 12)), ` ${finding.attack}`);
  const said = element("dl");
  const rows = finding.turns.map((turn) => [turn.role === "user" ? "User, before" : "Assistant, before", turn.content]);
  rows.push(["Attack", finding.prompt]);
  if (finding.injected_passage) rows.push(["In a passage", finding.injected_passage]);
  rows.push(["Answer", finding.answer || "(not kept)"]);
  for (const [name, text] of rows) said.append(element("dt", name), element("dd", text, "answer"));
  made.append(title, element("p", state(finding, release), "state"), said, form(finding, release, told));
  return made;
}

function form(finding, release, told) {
  const made = element("form");
  const waived = finding.state === "waived";
  const why = input("Reason", "text");
  why.field.maxLength = 2000;
  made.append(why.label);
  const until = input("Last day (UTC)", "date");
  if (!waived) {
    until.field.min = told.today;
    until.field.max = told.last_day;
    made.append(until.label);
  }
  const role = element("select");
  if (told.roles.length > 1) {
    for (const each of told.roles) role.append(element("option", each));
    const label = element("label", "Role ");
    label.append(role);
    made.append(label);
  }
  const button = element("button", waived ? "Withdraw" : "Waive");
  button.type = "submit";
  made.append(button);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const release_of = waived ? finding.waiver.release : release.id;
    const asked = { finding: finding.id, release: release_of, reviewer, why: why.field.value, role: role.value || null };
    once(async () => {
      const done = await call(waived ? "/api/withdrawals" : "/api/waivers", waived ? asked : { ...asked, expires: until.field.value });
      await load();
      $("status").textContent = `${done.said}.`;
    });
  });
  return made;
}

function input(name, type) {
  const label = element("label", `${name} `);
  const field = element("input");
  field.type = type;
  field.required = true;
  label.append(field);
  return { label, field };
}

$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  reviewer = $("name").value.trim();
  if (!reviewer) return;
  localStorage.setItem("reviewer", reviewer);
  once(load);
});
once(load);
