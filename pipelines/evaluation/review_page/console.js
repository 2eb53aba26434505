// What both pages of the console do: make elements whose text is text, and ask the server.
"use strict";
const $ = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function call(path, body) {
  const how = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, how || {});
  const told = await response.json();
  if (!response.ok) throw new Error(told.error || response.statusText);
  return told;
}
