"use strict";
// The page: trains both sides as settings and controls say, and draws them. All numbers come from the
// engine.

const FRAME = 13; // milliseconds of updates in a frame, at most
const SERIES = 400; // points of a series, thinned beyond
let running = false, owed = 0, hovered = null;
const panels = {};

function restart() {
  for (const side of SIDES) {
    const panel = panels[side], refused = refusal(side);
    panel.training = refused ? null : training(side);
    panel.series = { step: [], loss: [], accuracy: [], wrong: [], right: [], stuck: [] };
    panel.range = null;
    panel.since = null;
    panel.next = 0;
    panel.refusal.textContent = refused || "";
    panel.body.hidden = Boolean(refused);
    if (panel.training) record(panel);
  }
  owed = 0;
  byId("commands").replaceChildren(...commands().map((text) => {
    const line = document.createElement("code");
    line.textContent = text;
    return line;
  }));
  draw();
}

function record(panel) {
  const { series } = panel, found = panel.training.evaluate(state.threshold);
  panel.found = found;
  panel.next = Math.ceil(1.1 * panel.training.step) + 1;
  const steps = series.step;
  if (steps.length && steps[steps.length - 1] === panel.training.step) return;
  steps.push(panel.training.step);
  for (const key of ["loss", "accuracy", "wrong", "right", "stuck"]) series[key].push(found[key]);
  if (steps.length > SERIES) {
    for (const key of Object.keys(series)) {
      series[key] = series[key].filter((_, n) => n % 2 === 0 || n > SERIES - 8);
    }
  }
}

function advance(count) {
  const live = SIDES.map((side) => panels[side]).filter((one) => one.training);
  const end = performance.now() + FRAME;
  for (let n = 0; n < count; n++) {
    for (const panel of live) {
      const own = panel.training;
      if (own.diverged) continue;
      own.update();
      // at speed a frame has thousands of updates, and the axis of the series is logarithmic
      if (own.step >= panel.next) record(panel);
      // of a single example one can say when it became right
      if (own.data.count === 1 && panel.since === null && own.judge(0).right) {
        panel.since = own.step;
      }
    }
    if (n % 8 === 7 && performance.now() > end) break;
  }
  live.forEach(record);
}

function frame() {
  if (!running) return;
  owed += SPEEDS[Number(byId("speed").value)][0];
  const count = Math.floor(owed);
  owed -= count;
  if (count) {
    advance(count);
    draw();
  }
  requestAnimationFrame(frame);
}

function play(on) {
  running = on;
  byId("play").textContent = on ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(on));
  if (on) requestAnimationFrame(frame);
  else describe();
}

function fill(select, names, titleOf = (name) => name) {
  select.replaceChildren(...names.map((name) => new Option(titleOf(name), name)));
}

function show() {
  for (const key of SHARED) byId(key).value = state[key];
  for (const side of SIDES) {
    byId(`head${side}`).value = state[`head${side}`];
    byId(`loss${side}`).value = state[`loss${side}`];
  }
  const same = PRESETS.findIndex(([, preset]) => {
    const whole = { ...DEFAULTS, ...preset };
    return Object.keys(whole).every((key) => whole[key] === state[key]);
  });
  byId("preset").value = same < 0 ? "" : String(same);
  byId("summary").textContent = summary();
  const linear = state.widths === "";
  byId("weight").disabled = byId("bias").disabled = !linear;
  byId("activation").disabled = linear;
  byId("noise").disabled = !decoded[state.data].flips;
  byId("batch").disabled = decoded[state.data].labels.length === 1;
}

// the shared setting in a line
function summary() {
  const widths = widthsOf(), parts = [decoded[state.data].title];
  if (state.noise && decoded[state.data].flips) {
    parts.push(`${short(100 * state.noise)} % of the labels wrong`);
  }
  parts.push(widths.length
    ? `hidden ${widths.join(" and ")} ${state.activation}, ${state.init}` : "linear model");
  if (!widths.length && (state.weight !== "" || state.bias !== "")) {
    const given = [["w", state.weight], ["b", state.bias]].filter(([, one]) => one !== "");
    parts.push(`start ${given.map(([name, one]) => `${name} = ${short(one)}`).join(", ")}`);
  }
  parts.push(`rate ${short(state.lr)}`);
  if (state.momentum) parts.push(`momentum ${short(state.momentum)}`);
  if (decoded[state.data].labels.length > 1) parts.push(`batches of ${state.batch}`);
  return parts.join(" · ");
}

function change(key, value) {
  state[key] = valid(key, value);
  show();
  writeHash();
  restart();
}

function choose(preset) {
  if (!preset) return;
  play(false);
  state = { ...DEFAULTS, ...preset[1] };
  show();
  writeHash();
  restart();
}

function pointAt(panel, event) {
  const box = panel.plane.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let nearest = null, least = 20 ** 2;
  (panel.places || []).forEach(([px, py], n) => {
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) [nearest, least] = [n, distance];
  });
  if (nearest === hovered) return;
  hovered = nearest;
  draw();
}

function start() {
  for (const side of SIDES) {
    const within = (name) => byId(`${name}${side}`);
    panels[side] = {
      body: within("body"), refusal: within("refusal"), plane: within("plane"),
      curve: within("curve"), chart: within("chart"), weights: within("weights"),
      numbers: within("numbers"), example: within("example"),
      small: document.createElement("canvas"),
    };
    fill(within("head"), MATERIAL.heads);
    fill(within("loss"), MATERIAL.losses);
    for (const kind of ["head", "loss"]) {
      within(kind).addEventListener("change", (event) => change(kind + side, event.target.value));
    }
    const { plane } = panels[side];
    plane.addEventListener("pointermove", (event) => pointAt(panels[side], event));
    plane.addEventListener("pointerdown", (event) => pointAt(panels[side], event));
    plane.addEventListener("pointerleave", () => { hovered = null; draw(); });
  }
  fill(byId("data"), Object.keys(decoded), (name) => decoded[name].title);
  fill(byId("widths"), ["", "2", "4", "8", "16", "4,4", "8,8", "16,16"], (one) =>
    one ? `hidden layer${one.includes(",") ? "s" : ""} of ${one.replace(",", " and ")}` : "none: linear");
  fill(byId("activation"), ["relu", "tanh", "sigmoid"]);
  fill(byId("init"), ["torch", "glorot", "he", "lecun", "normal", "zeros"]);
  fill(byId("speed"), SPEEDS.map((_, n) => String(n)), (n) => SPEEDS[n][1]);
  byId("speed").value = "1";
  for (const key of SHARED) {
    byId(key).addEventListener("change", (event) => change(key, event.target.value));
  }
  fill(byId("preset"), ["", ...PRESETS.map((_, n) => String(n))], (n) =>
    n === "" ? "a setting of your own" : PRESETS[n][0]);
  byId("preset").addEventListener("change", (event) => choose(PRESETS[event.target.value]));
  byId("play").addEventListener("click", () => play(!running));
  byId("step").addEventListener("click", () => { play(false); advance(1); draw(); describe(); });
  byId("reset").addEventListener("click", () => { play(false); restart(); });
  document.addEventListener("keydown", (event) => {
    if (/^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === " ") { event.preventDefault(); play(!running); }
    if (event.key === "ArrowRight") { play(false); advance(1); draw(); describe(); }
    if (event.key === "r") { play(false); restart(); }
  });
  window.addEventListener("hashchange", () => { state = { ...DEFAULTS }; readHash(); show(); restart(); });
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  readHash();
  show();
  restart();
}

start();
