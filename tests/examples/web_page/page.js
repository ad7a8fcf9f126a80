// Sends the code, and shows the events of the answer as they come.
"use strict";
const $ = (id) => document.getElementById(id);
let runId = null;
let stop = null;

function show(element) {
  $("output").append(element);
}

function text(kind, words) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = words;
  show(span);
}

const handlers = {
  run: (id) => { runId = id; },
  status: (words) => { $("status").textContent = words; },
  stdout: (words) => text("stdout", words),
  stderr: (words) => text("stderr", words),
  media: ([type, content]) => {
    if (!type.startsWith("image/")) return text("stderr", `(${type})\n`);
    const image = document.createElement("img");
    image.alt = type;
    // In an <img> not even an SVG can run scripts.
    image.src = content.startsWith("data:") ? content : `data:${type},${encodeURIComponent(content)}`;
    show(image);
  },
  html: (fragment) => {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "");
    frame.srcdoc = fragment;
    show(frame);
  },
  input: (isPassword) => {
    $("line").type = isPassword ? "password" : "text";
    $("answer").hidden = false;
    $("line").focus();
  },
  end: (words) => { $("status").textContent = words; },
};

// EventSource would be shorter, but it cannot send the code along, and asks again at the end.
async function events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const fields = new Map(block.split("\n").map((line) => line.split(/: ?(.*)/s)));
      if (fields.has("event")) handlers[fields.get("event")](JSON.parse(fields.get("data")));
    }
  }
}

$("job").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  stop = new AbortController();
  $("output").replaceChildren();
  $("status").textContent = "starting";
  $("run").disabled = true;
  $("stop").disabled = false;
  try {
    const response = await fetch("run", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ language: $("language").value, code: $("code").value }),
      signal: stop.signal,
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    await events(response);
  } catch (error) {
    $("status").textContent = stop.signal.aborted ? "stopped" : String(error);
  }
  $("answer").hidden = true;
  $("run").disabled = false;
  $("stop").disabled = true;
});

$("stop").addEventListener("click", () => stop.abort());

$("answer").addEventListener("submit", (submit) => {
  submit.preventDefault();
  if ($("line").type !== "password") text("stdout", `${$("line").value}\n`);
  fetch(`input/${runId}`, { method: "POST", body: $("line").value });
  $("line").value = "";
  $("answer").hidden = true;
});
