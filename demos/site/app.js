// ---- lessons: their registry, controls, steps, time, address ---------------------------------------------------------
/** A lesson is {id, question, minutes, sentence, thumbnail, controls, toggles, steps, panels, compute, draw, tell}. */
const LESSONS = [];
const lesson = definition => LESSONS.push(definition);
const $ = id => document.getElementById(id);
//: what is shown; the browser tests read it
const classroom = { lesson: null, values: {}, state: {}, milliseconds: 0, frames: 0 };

function initial(definition) {
  const values = { seed: definition.seed ?? 1 };
  for (const control of definition.controls) values[control.name] = control.value;
  for (const toggle of definition.toggles || []) values[toggle.name] = toggle.value;
  return values;
}
const label = control => `<label for="c-${control.name}"><span>${control.label}</span><output id="o-${control.name}" for="c-${control.name}"></output>
  <input id="c-${control.name}" type="range" min="${control.min}" max="${control.max}" step="${control.step}" aria-label="${control.spoken || control.name}"></label>`;

function enter(definition, values) {
  stop();
  Object.assign(classroom, { lesson: definition, values, step: 0, answered: false, state: {} });
  document.title = definition.question; $("question").textContent = definition.question;
  $("main").className = "lesson";
  $("main").innerHTML = `<section class="figure" aria-label="picture">${definition.panels.map((panel, i) => `<div id="panel-${i}" ${panel.style ? `style="${panel.style}"` : ""}></div>`).join("")}</section>
    <section class="side" aria-label="explanation and controls"><div class="step"></div><form class="controls">${definition.controls.map(label).join("")}
      <div class="row">${(definition.toggles || []).map(toggle => `<label><input type="checkbox" id="c-${toggle.name}"> ${toggle.label}</label>`).join("")}
      ${definition.play ? `<button type="button" id="play" aria-label="play or stop">▶ play</button>` : ""}${definition.another ? `<button type="button" id="another">${definition.another}</button>` : ""}
      <button type="button" id="reset">reset</button></div></form><p class="verdict" aria-live="polite"></p></section>`;
  const side = document.querySelector(".side");
  if (!definition.controls.length && !definition.play) side.querySelector("#reset").remove();
  for (const control of definition.controls) {
    const input = $(`c-${control.name}`);
    input.addEventListener("input", () => { change({ [control.name]: Number(input.value) }, control.name); if (control.name !== definition.play) stop(); });
    input.addEventListener("change", remember);
  }
  for (const toggle of definition.toggles || []) $(`c-${toggle.name}`).addEventListener("change", event => { change({ [toggle.name]: event.target.checked }); remember(); });
  $("play")?.addEventListener("click", () => (playing ? stop() : play()));
  $("another")?.addEventListener("click", () => { change({ seed: (classroom.values.seed + 1) % 2 ** 31, moved: "" }); remember(); });
  $("reset")?.addEventListener("click", () => { stop(); classroom.values = initial(definition); show(); remember(); });
  if (definition.enter) definition.enter();
  step(0, false);
  show();
}
function change(some, by = null) {
  const definition = classroom.lesson;
  if (definition.link) Object.assign(some, definition.link(classroom.values, some, by));
  Object.assign(classroom.values, some);
  soon();
}
let waiting = false, playing = null;
function soon() { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; show(); }); } }
function show() {
  const { lesson: definition, values } = classroom;
  if (!definition) return;
  const started = performance.now();
  for (const control of definition.controls) { $(`c-${control.name}`).value = values[control.name]; $(`o-${control.name}`).innerHTML = control.show ? control.show(values[control.name], values) : values[control.name]; }
  for (const toggle of definition.toggles || []) $(`c-${toggle.name}`).checked = values[toggle.name];
  classroom.state = definition.compute(values);
  definition.panels.forEach((panel, i) => panel.draw($(`panel-${i}`), classroom.state, values));
  document.querySelector(".verdict").innerHTML = definition.tell(classroom.state, values);
  classroom.milliseconds = performance.now() - started; classroom.frames++;
}

// ---- time that plays ---------------------------------------------------------------------------------------------------
function play() {
  const definition = classroom.lesson, control = definition.controls.find(one => one.name === definition.play);
  if (classroom.values[control.name] >= control.max) classroom.values[control.name] = control.min;
  $("play").textContent = "■ stop"; $("play").setAttribute("aria-pressed", "true");
  const seconds = definition.seconds || 6, from = classroom.values[control.name], began = performance.now();
  const tick = now => {
    const value = from + (control.max - control.min) * (now - began) / (1000 * seconds);
    change({ [control.name]: Math.min(control.max, Math.round(value / control.step) * control.step) });
    if (value >= control.max) stop(); else playing = requestAnimationFrame(tick);
  };
  playing = requestAnimationFrame(tick);
}
function stop() {
  if (playing) cancelAnimationFrame(playing);
  playing = null;
  if ($("play")) { $("play").textContent = "▶ play"; $("play").setAttribute("aria-pressed", "false"); }
}

// ---- steps: one idea each; a question is answered before the answer shows ----------------------------------------------
function step(number, apply = true) {
  const { lesson: definition } = classroom, here = definition.steps[number];
  stop();
  Object.assign(classroom, { step: number, answered: false });
  if (apply && here.set) { classroom.values = { ...initial(definition), ...here.set }; show(); remember(); }
  if (apply && here.play) play();
  drawStep();
}
function drawStep(given = null) {
  const { lesson: definition, step: number } = classroom, here = definition.steps[number], box = document.querySelector(".step");
  const asked = here.ask ? `<div class="ask" role="group" aria-label="your guess">${here.ask.map((option, i) => `<button type="button" data-answer="${i}" aria-pressed="${i === given}">${option}</button>`).join("")}</div>` : "";
  const answer = given === null ? "" : `<p><b>${given === here.answer ? "Yes." : "No."}</b> ${here.because}</p>`;
  box.innerHTML = `<p>${here.text}</p>${asked}${answer}<nav aria-label="steps"><button type="button" id="back" ${number ? "" : "disabled"}>back</button><span>${number + 1} of ${definition.steps.length}</span><button type="button" id="next" ${number + 1 < definition.steps.length ? "" : "disabled"}>next</button></nav>`;
  $("back").onclick = () => step(number - 1); $("next").onclick = () => step(number + 1);
  box.querySelectorAll("[data-answer]").forEach(button => { button.onclick = () => {
    if (here.then) { classroom.values = { ...initial(definition), ...here.set, ...here.then }; show(); remember(); }
    drawStep(Number(button.dataset.answer));
  }; });
}

// ---- the address: index.html#implicit?alpha=1.3&gamma=-8 ---------------------------------------------------------------
function remember() {
  const { lesson: definition, values } = classroom;
  const text = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined).map(([name, value]) => [name, typeof value === "boolean" ? +value : typeof value === "number" ? +value.toPrecision(8) : value]));
  try { history.replaceState(null, "", `#${definition.id}?${text}`); } catch { /* some browsers refuse on file: */ }
}
/** Open what the address asks for; say in a sentence what can't be used. */
function open() {
  const address = location.hash.slice(1), bare = address.includes("=") && !address.includes("?");
  const [id, query = ""] = bare ? [LESSONS[0].id, address] : address.split("?"), trouble = [];
  const definition = LESSONS.find(one => one.id === decodeURIComponent(id));
  if (id && !definition) trouble.push(`There is no lesson “${decodeURIComponent(id)}”; there are ${LESSONS.map(one => one.id).join(", ")}.`);
  if (!definition) { start(); $("trouble").textContent = trouble.join(" "); return; }
  const values = initial(definition);
  for (const [name, text] of new URLSearchParams(query)) {
    const control = definition.controls.find(one => one.name === name), toggle = (definition.toggles || []).find(one => one.name === name), value = text.trim() === "" ? NaN : Number(text);
    if (name === "seed") { if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) values.seed = value; else trouble.push(`seed must be a whole number from 0 to 2147483647, got “${text}”.`); }
    else if (toggle) { if (text === "0" || text === "1") values[name] = text === "1"; else trouble.push(`${name} must be 0 or 1, got “${text}”.`); }
    else if (definition.recall && name === "moved") { const moved = definition.recall(text); if (moved === null) trouble.push(`moved must be like 3:0.5,7:-1, got “${text}”.`); else values.moved = moved; }
    else if (!control) trouble.push(`There is no parameter “${name}” here; there are ${[...definition.controls, ...(definition.toggles || [])].map(one => one.name).join(", ")} and seed.`);
    else if (!(value >= control.min && value <= control.max) || (control.whole && !Number.isInteger(value))) trouble.push(`${name} must be a ${control.whole ? "whole " : ""}number from ${control.min} to ${control.max}, got “${text}”.`);
    else values[name] = value;
  }
  $("trouble").textContent = trouble.join(" ");
  enter(definition, values);
}
function start() {
  stop(); classroom.lesson = null;
  document.title = "Wrong labels, and how gradient descent finds them"; $("question").textContent = "How does gradient descent find wrong labels?";
  $("main").className = "start";
  $("main").innerHTML = `<p>Seven questions, each answered by a picture that you move. Everything computes here, in this one file; nothing is loaded.
    Start with the first three: they need no network.</p><ol class="cards">${LESSONS.map((one, i) => `<li><a href="#${one.id}">${one.thumbnail}<h2>${i + 1}. ${one.question}</h2><p>${one.sentence} <b>${one.minutes} minutes.</b></p></a></li>`).join("")}</ol>`;
}
function themed(dark) { document.documentElement.dataset.theme = dark ? "dark" : "light"; }
function begin() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  themed(system.matches);
  system.addEventListener("change", event => { themed(event.matches); soon(); });
  $("theme").onclick = () => { themed(document.documentElement.dataset.theme !== "dark"); soon(); };
  addEventListener("hashchange", open);
  addEventListener("resize", soon);
  open();
}
