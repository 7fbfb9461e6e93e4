"use strict";
// The page: settings to trainings, trainings to pictures. All numbers come from the engine.

const MATERIAL = JSON.parse(document.getElementById("material").textContent);
const FRAME = 13; // milliseconds of updates in a frame, at most
const GRID = 44; // cells of a side of the plane
const SERIES = 400; // points of a series, thinned beyond
const SPEEDS = [[0.1, "6 updates a second"], [1, "60 a second"], [10, "600 a second"],
  [100, "6,000 a second"], [1e9, "as fast as it can"]];
const SIDES = ["a", "b"];
const SHARED = ["data", "noise", "widths", "activation", "init", "weight", "bias", "lr", "momentum",
  "batch", "seed", "threshold"];
const NUMBERS = { // key: least and largest, both allowed, and whole
  noise: [0, 0.4], scale: [0, 1000], weight: [-100, 100], bias: [-100, 100], lr: [1e-6, 1000],
  momentum: [0, 0.999], batch: [1, 480, true], seed: [0, Infinity, true], threshold: [1e-9, 1],
};
const DEFAULTS = {
  data: "neuron", noise: 0, widths: "", activation: "relu", init: "torch", scale: 1, weight: 2, bias: 2,
  lr: 0.15, momentum: 0, batch: 32, seed: 0, heada: "sigmoid", lossa: "se", headb: "sigmoid",
  lossb: "bce", threshold: 0.02,
};
const RANDOM = { weight: "", bias: "", threshold: 0.01 };
const PRESETS = [
  ["A saturated neuron: does it move?", {}],
  ["From z = 12: how many updates?", {
    weight: 6, bias: 6, lr: 0.5, threshold: 0.01 }],
  ["Clipped at the start: who rescues it?", {
    heada: "clipped_linear", headb: "clipped_linear", lossb: "matching" }],
  ["xor with a hidden layer", {
    data: "xor", ...RANDOM, widths: "8", init: "he", lr: 0.3, batch: 32 }],
  ["Outliers on the right side", {
    data: "outliers", ...RANDOM, lr: 0.1, heada: "linear", lossa: "se", headb: "sigmoid" }],
  ["Digits from a bias of −10", {
    data: "digits", ...RANDOM, bias: -10, lr: 0.5 }],
  ["Wrong labels: which loss believes them?", {
    data: "moons", ...RANDOM, widths: "8,8", init: "he", lr: 0.3, noise: 0.2, lossa: "bce",
    lossb: "mae" }],
  ["Three classes: softmax or sparsemax", {
    data: "blobs3", ...RANDOM, lr: 0.3, heada: "softmax", lossa: "ce", headb: "sparsemax",
    lossb: "matching" }],
];

// of the first two features, with a margin
function boundsOf(features, columns) {
  return [0, 1].map((feature) => {
    const values = features.filter((_, n) => n % columns === feature);
    return spread(values);
  });
}

const byId = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const decoded = Object.fromEntries(Object.entries(MATERIAL.data).map(([name, one]) => [name, {
  ...one,
  features: new Float64Array(bytes(one.features).buffer),
  bounds: boundsOf(new Float64Array(bytes(one.features).buffer), one.columns),
  labels: bytes(one.labels),
  flips: one.flips && {
    order: new Uint16Array(bytes(one.flips.order).buffer), by: bytes(one.flips.by) },
}]));

let state = { ...DEFAULTS, ...MATERIAL.start };
let running = false, owed = 0, hovered = null;
const panels = {};

// ---- settings ----
function readHash() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of found) if (key in DEFAULTS) state[key] = valid(key, value);
}

function valid(key, value) {
  const known = (list) => (list.includes(value) ? value : DEFAULTS[key]);
  if (key === "data") return known(Object.keys(decoded));
  if (key === "activation") return known(["relu", "tanh", "sigmoid"]);
  if (key === "init") return known(["torch", "glorot", "he", "lecun", "normal", "zeros"]);
  if (key.startsWith("head")) return known(MATERIAL.heads);
  if (key.startsWith("loss")) return known(MATERIAL.losses);
  if (key === "widths") {
    const widths = String(value).split(",").filter((one) => one.trim()).map(Number);
    const fine = widths.length <= 2 && widths.every((n) => Number.isInteger(n) && n > 0 && n <= 32);
    return fine ? widths.join(",") : DEFAULTS[key];
  }
  if (value === "" && (key === "weight" || key === "bias")) return "";
  const [low, high, whole] = NUMBERS[key], number = Number(value);
  if (value === "" || !Number.isFinite(number)) return DEFAULTS[key];
  if (key === "seed" && !(String(number) in MATERIAL.keys)) return DEFAULTS[key];
  const inside = Math.min(Math.max(number, low), high);
  return whole ? Math.round(inside) : inside;
}

function writeHash() {
  const changed = Object.keys(DEFAULTS).filter((key) => state[key] !== DEFAULTS[key]);
  const text = changed.map((key) => `${key}=${encodeURIComponent(state[key])}`).join("&");
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

const widthsOf = () => state.widths.split(",").filter(Boolean).map(Number);
const pairOf = (side) => [state[`head${side}`], state[`loss${side}`]];

function refusal(side) {
  const [head, loss] = pairOf(side), classes = decoded[state.data].classes;
  return (MATERIAL.refused[classes][head] || {})[loss];
}

function targetsOf(head) {
  const { labels, classes, flips } = decoded[state.data], given = Array.from(labels);
  if (flips) {
    const count = Math.round(state.noise * labels.length);
    for (let n = 0; n < count; n++) {
      const row = flips.order[n];
      given[row] = (labels[row] + flips.by[n]) % classes;
    }
  }
  const outputs = MATERIAL.outputs[classes][head];
  const targets = new Float64Array(labels.length * outputs);
  given.forEach((label, n) => {
    if (outputs === 1) targets[n] = label;
    else targets[n * outputs + label] = 1;
  });
  return { targets, outputs, given };
}

function training(side) {
  const [head, loss] = pairOf(side), { features, columns, labels } = decoded[state.data];
  const keys = { ...MATERIAL.keys[state.seed] };
  keys.order = BigInt(keys.order);
  const number = (text) => (text === "" ? null : Number(text));
  const setting = {
    head, loss, widths: widthsOf(), activation: state.activation, init: state.init, scale: state.scale,
    weight: number(state.weight), bias: number(state.bias), lr: state.lr,
    momentum: state.momentum, batch: state.batch,
  };
  const data = { features, columns, count: labels.length, ...targetsOf(head) };
  return new engine.Training(setting, data, keys);
}

function overrides(heads, losses) {
  const words = [`head=${heads}`, `loss=${losses}`, ...decoded[state.data].overrides];
  if (state.noise && decoded[state.data].flips) words.push(`data.label_noise=${state.noise}`);
  if (state.widths) {
    words.push("model=mlp", `'model.widths=[${state.widths}]'`,
      `model.activation=${state.activation}`);
  } else {
    words.push("model=linear");
    for (const key of ["weight", "bias"]) {
      if (state[key] !== "") words.push(`model.${key}=${state[key]}`);
    }
  }
  words.push(`model.init=${state.init}`);
  if (state.scale !== 1) words.push(`model.init_scale=${state.scale}`);
  words.push(`optimizer.lr=${state.lr}`);
  if (state.momentum) words.push(`optimizer.momentum=${state.momentum}`);
  if (state.threshold !== 0.01) words.push(`probes.threshold=${state.threshold}`);
  const steps = Math.max(panels.a.training ? panels.a.training.step : 0, 1000);
  return [...words, `batch_size=${state.batch}`, `seed=${state.seed}`, "dtype=float64",
    `steps=${steps}`].join(" ");
}

function commands() {
  const [one, other] = SIDES.map(pairOf);
  const legal = SIDES.filter((side) => !refusal(side)).map(pairOf);
  if (legal.length === 2 && one[0] === other[0] && one[1] !== other[1]) {
    return [`${MATERIAL.command} -m ${overrides(one[0], `${one[1]},${other[1]}`)}`];
  }
  if (legal.length === 2 && one[1] === other[1] && one[0] !== other[0]) {
    return [`${MATERIAL.command} -m ${overrides(`${one[0]},${other[0]}`, one[1])}`];
  }
  return [...new Set(legal.map(([head, loss]) => `${MATERIAL.command} ${overrides(head, loss)}`))];
}

// ---- trainings ----
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

// ---- pictures ----
let colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "ink", "soft", "rule", "panel", "blue", "vermillion", "green",
    "purple", "orange", "sky", "bad"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
  colours.classes = ["vermillion", "blue", "green", "purple", "orange", "sky"]
    .map((name) => colours[name]);
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const classColour = (label) => colours.classes[label % colours.classes.length];

function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const [width, height] = [Math.round(box.width), Math.round(box.height)];
  if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
    canvas.width = width * ratio;
    canvas.height = height * ratio;
  }
  const ink = canvas.getContext("2d");
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.clearRect(0, 0, width, height);
  ink.font = "12px system-ui, sans-serif";
  return { ink, width, height };
}

function spread(values, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values), wide = high - low || 1;
  return [low - share * wide, high + share * wide];
}

const TWO = [0, 0];

// of each class in a colour; valid until the next call
function shares(head, z) {
  const y = engine.HEADS[head](z);
  if (y.length === 1) {
    TWO[1] = Math.min(Math.max(y[0], 0), 1);
    TWO[0] = 1 - TWO[1];
    return TWO;
  }
  const kept = y.map((one) => Math.max(one, 0)), sum = kept.reduce((a, b) => a + b, 0) || 1;
  return kept.map((one) => one / sum);
}

function drawPlane(panel) {
  const { ink, width, height } = prepared(panel.plane), { given } = panel.training.data;
  const { bounds: [[left, right], [low, high]], features } = decoded[state.data];
  ink.imageSmoothingEnabled = true;
  const back = background(panel, [left, right], [low, high]);
  ink.drawImage(back.image, 0, 0, width, height);
  boundary(ink, width, height, back);
  // area, and not radius, is proportional to ‖dL/dz‖; the smallest stay visible
  const { sizes } = panel.found, scale = Math.max(...sizes, 0.5);
  const places = given.map((_, n) => [
    ((features[2 * n] - left) / (right - left)) * width,
    ((high - features[2 * n + 1]) / (high - low)) * height]);
  panel.places = places;
  const radii = given.map((_, n) => 1.6 + 7 * Math.sqrt(sizes[n] / scale));
  dots(ink, places, radii, given.map(classColour), colours.paper);
  given.forEach((_, n) => { if (isStuck(panel, n)) cross(ink, ...places[n], radii[n] + 3); });
  if (hovered !== null) ring(ink, ...places[hovered], radii[hovered] + 5);
}

// predictions over the plane, as mixtures of the classes' colours
function background(panel, [left, right], [low, high]) {
  const own = panel.training, { head } = own.setting, { small } = panel;
  const paper = rgb(colours.paper), tints = colours.classes.map(rgb), point = [0, 0];
  const classes = Math.max(own.data.outputs, 2);
  const scores = new Float64Array(GRID * GRID * classes); // what decides: the largest
  const image = new ImageData(GRID, GRID);
  for (let row = 0; row < GRID; row++) {
    point[1] = high - ((row + 0.5) / GRID) * (high - low);
    for (let column = 0; column < GRID; column++) {
      point[0] = left + ((column + 0.5) / GRID) * (right - left);
      const z = own.forward(point), at = 4 * (row * GRID + column);
      scores.set(z.length === 1 ? [engine.MIDDLE[head], z[0]] : z, (at / 4) * classes);
      const parts = shares(head, z);
      for (let c = 0; c < 3; c++) {
        let tint = 0;
        for (let k = 0; k < parts.length; k++) tint += parts[k] * tints[k % tints.length][c];
        image.data[at + c] = 0.62 * paper[c] + 0.38 * tint;
      }
      image.data[at + 3] = 255;
    }
  }
  small.width = small.height = GRID;
  small.getContext("2d").putImageData(image, 0, 0);
  return { image: small, scores, classes };
}

// where the decided class changes, between the cells' centres
function boundary(ink, width, height, { scores, classes }) {
  const best = (cell) => {
    let at = cell * classes;
    for (let k = at; k < (cell + 1) * classes; k++) if (scores[k] > scores[at]) at = k;
    return at - cell * classes;
  };
  const chosen = Uint8Array.from({ length: GRID * GRID }, (_, cell) => best(cell));
  const place = (cell) => [((cell % GRID) + 0.5) / GRID * width,
    (Math.floor(cell / GRID) + 0.5) / GRID * height];
  const crossing = (from, to) => {
    const [a, b] = [chosen[from], chosen[to]];
    if (a === b) return null;
    const before = scores[from * classes + a] - scores[from * classes + b];
    const after = scores[to * classes + b] - scores[to * classes + a];
    const share = before / (before + after || 1), [x, y] = place(from), [u, v] = place(to);
    return [x + share * (u - x), y + share * (v - y)];
  };
  ink.strokeStyle = colours.ink;
  ink.lineWidth = 1.5;
  ink.beginPath();
  for (let row = 0; row + 1 < GRID; row++) {
    for (let column = 0; column + 1 < GRID; column++) {
      const at = row * GRID + column, corners = [at, at + 1, at + GRID + 1, at + GRID];
      const found = corners.map((one, n) => crossing(one, corners[(n + 1) % 4])).filter(Boolean);
      if (!found.length) continue;
      const centre = found.length === 2 ? found[1]
        : [0, 1].map((axis) => found.reduce((sum, one) => sum + one[axis], 0) / found.length);
      for (const one of found.length === 2 ? found.slice(0, 1) : found) {
        ink.moveTo(...one);
        ink.lineTo(...centre);
      }
    }
  }
  ink.stroke();
}

const isStuck = (panel, n) => !panel.found.rights[n] && panel.found.sizes[n] < state.threshold;

// one path for each colour: hundreds of them in a frame
function dots(ink, places, radii, tints, rim) {
  for (const tint of new Set(tints)) {
    ink.beginPath();
    places.forEach(([x, y], n) => {
      if (tints[n] !== tint) return;
      ink.moveTo(x + radii[n], y);
      ink.arc(x, y, radii[n], 0, 2 * Math.PI);
    });
    ink.fillStyle = tint;
    ink.fill();
    if (!rim) continue;
    ink.lineWidth = 1;
    ink.strokeStyle = rim;
    ink.stroke();
  }
}

function ring(ink, x, y, radius) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 2 * Math.PI);
  ink.lineWidth = 2;
  ink.strokeStyle = colours.ink;
  ink.stroke();
}

function cross(ink, x, y, size) {
  ink.lineWidth = 2;
  ink.strokeStyle = colours.ink;
  ink.beginPath();
  ink.moveTo(x - size, y - size);
  ink.lineTo(x + size, y + size);
  ink.moveTo(x - size, y + size);
  ink.lineTo(x + size, y - size);
  ink.stroke();
}

// of one input: the prediction over it
function drawLine(panel) {
  const { ink, width, height } = prepared(panel.plane), own = panel.training;
  const [left, right, low, high] = [-2, 3, -0.25, 1.25];
  const across = (x) => ((x - left) / (right - left)) * width;
  const up = (y) => ((high - y) / (high - low)) * height;
  axes(ink, width, height, [[0, "0"], [1, "1"]].map(([y, text]) => [up(y), text]));
  ink.strokeStyle = colours.blue;
  ink.lineWidth = 2.5;
  ink.beginPath();
  for (let px = 0; px <= width; px += 2) {
    const y = engine.HEADS[own.setting.head](own.forward([left + (px / width) * (right - left)]));
    const value = y.length === 1 ? y[0] : y[1];
    ink[px ? "lineTo" : "moveTo"](px, up(value));
  }
  ink.stroke();
  const { z } = own.judge(0), y = engine.HEADS[own.setting.head](z);
  const value = y.length === 1 ? y[0] : y[1], px = across(1);
  ink.strokeStyle = colours.soft;
  ink.setLineDash([3, 3]);
  ink.beginPath();
  ink.moveTo(px, up(value));
  ink.lineTo(px, up(0));
  ink.stroke();
  ink.setLineDash([]);
  dots(ink, [[px, up(value)]], [5], [colours.blue]);
  if (isStuck(panel, 0)) cross(ink, px, up(value), 8);
  if (hovered === 0) ring(ink, px, up(value), 10);
  ink.strokeStyle = colours.vermillion;
  ink.lineWidth = 2;
  ink.beginPath();
  ink.arc(px, up(0), 6, 0, 2 * Math.PI);
  ink.stroke();
  ink.fillStyle = colours.ink;
  ink.fillText(`y = ${short(value)}`, px + 10, up(value) - 8);
  ink.fillText("target 0", px + 12, up(0) + 4);
  panel.places = [[px, up(value)]];
}

const COLUMNS = 15; // of digits
let sheet = null;

// all digits, drawn once for each size and theme
function digitSheet(width, height, cell) {
  const ratio = window.devicePixelRatio || 1, name = [width, height, ratio, colours.ink].join();
  if (sheet && sheet.name === name) return sheet.canvas;
  const canvas = document.createElement("canvas"), { features, labels } = decoded.digits;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ink = canvas.getContext("2d"), pixel = (cell * 0.72) / 8;
  ink.scale(ratio, ratio);
  ink.fillStyle = colours.ink;
  labels.forEach((_, n) => {
    const [x, y] = [(n % COLUMNS) * cell, Math.floor(n / COLUMNS) * cell];
    for (let p = 0; p < 64; p++) {
      ink.globalAlpha = features[64 * n + p];
      ink.fillRect(x + cell * 0.14 + (p % 8) * pixel, y + cell * 0.04 + (p >> 3) * pixel,
        pixel + 0.3, pixel + 0.3);
    }
  });
  sheet = { name, canvas };
  return canvas;
}

function drawDigits(panel) {
  const { ink, width, height } = prepared(panel.plane), { labels } = decoded.digits;
  const rows = Math.ceil(labels.length / COLUMNS);
  const cell = Math.min((width - 8) / COLUMNS, (height - 8) / rows);
  ink.translate((width - cell * COLUMNS) / 2, (height - cell * rows) / 2);
  ink.drawImage(digitSheet(width, height, cell), 0, 0, width, height);
  panel.places = Array.from(labels, (_, n) => [
    (width - cell * COLUMNS) / 2 + ((n % COLUMNS) + 0.5) * cell,
    (height - cell * rows) / 2 + (Math.floor(n / COLUMNS) + 0.5) * cell]);
  labels.forEach((_, n) => {
    const [x, y] = [(n % COLUMNS) * cell, Math.floor(n / COLUMNS) * cell];
    // the bar below is as long as ‖dL/dz‖, whose largest of a softmax is √2
    ink.fillStyle = panel.found.rights[n] ? colours.blue : colours.vermillion;
    ink.fillRect(x + 2, y + cell * 0.82, Math.min(panel.found.sizes[n] / 1.5, 1) * (cell - 4), 3);
    if (isStuck(panel, n)) cross(ink, x + cell / 2, y + cell * 0.86, cell * 0.09);
    if (n !== hovered) return;
    ink.strokeStyle = colours.ink;
    ink.lineWidth = 2;
    ink.strokeRect(x + 1, y + 1, cell - 2, cell - 2);
  });
}

function axes(ink, width, height, lines) {
  ink.strokeStyle = colours.rule;
  ink.fillStyle = colours.soft;
  ink.lineWidth = 1;
  for (const [y, text] of lines) {
    ink.beginPath();
    ink.moveTo(0, y);
    ink.lineTo(width, y);
    ink.stroke();
    ink.fillText(text, 4, y - 4);
  }
}

// The place of an example on the curve: the logit of one output. Of a softmax the log-odds of its
// class, so that all losses of its probability lie on the curve; of sparsemax the logit of the
// class less the largest of the others. Outputs that stand alone show that of the class.
const AXES = {
  softmax: "log-odds of the example's class", sparsemax: "z of the class − largest other z",
};

function placeOf(head, z, from, outputs, label) {
  if (outputs === 1) return z[from];
  if (!(head in AXES)) return z[from + label];
  let largest = -Infinity, sum = 0;
  for (let k = 0; k < outputs; k++) if (k !== label) largest = Math.max(largest, z[from + k]);
  if (head === "sparsemax") return z[from + label] - largest;
  for (let k = 0; k < outputs; k++) if (k !== label) sum += Math.exp(z[from + k] - largest);
  return z[from + label] - largest - Math.log(sum);
}

// loss and slope at a place, all other logits equal
function curve(own, place, target) {
  const { head } = own.setting, outputs = head in AXES ? own.data.outputs : 1;
  const z = new Float64Array(outputs), t = new Float64Array(outputs);
  const g = new Float64Array(outputs);
  z[0] = head === "softmax" ? place + Math.log(outputs - 1) : place;
  t[0] = target;
  return [own.kernel(z, t, g), g[0]];
}

function drawCurve(panel) {
  const { ink, width, height } = prepared(panel.curve), own = panel.training;
  const { outputs, count, given } = own.data, { head } = own.setting;
  const { z, gradients, losses } = panel.found, alone = !(head in AXES), points = [];
  for (let n = 0; n < count; n++) {
    const place = placeOf(head, z, n * outputs, outputs, given[n]);
    const target = outputs === 1 ? given[n] : 1;
    const slope = gradients[outputs === 1 ? n : n * outputs + given[n]];
    // one output of several that stand alone has a part of the loss
    points.push([place, target, alone ? curve(own, place, target)[0] : losses[n], slope]);
  }
  const found = spread(points.map((one) => one[0]), 0.1);
  const before = panel.range || [-6, 6];
  // the range grows at once, and never jumps back
  panel.range = [Math.max(Math.min(before[0], found[0]), -60),
    Math.min(Math.max(before[1], found[1]), 60)];
  const [left, right] = panel.range, middle = height * 0.56;
  const across = (z) => ((z - left) / (right - left)) * width;
  const targets = outputs === 1 ? [0, 1] : [1];
  const lines = targets.map((target) => {
    const line = [];
    for (let px = 0; px <= width; px += 2) {
      line.push([px, ...curve(own, left + (px / width) * (right - left), target)]);
    }
    return [target, line];
  });
  const all = lines.flatMap(([, line]) => line);
  const most = Math.max(...all.map((one) => one[1]).filter(Number.isFinite), 1e-6);
  const steep = Math.max(...all.map((one) => Math.abs(one[2])).filter(Number.isFinite), 1e-6);
  const top = Math.min(most, 12), slope = Math.min(steep, 4);
  const lossAt = (loss) => middle - 6 - (Math.min(loss, top) / top) * (middle - 24);
  const half = (height - middle - 40) / 2, zero = middle + 22 + half;
  const slopeAt = (g) => zero - Math.max(-1, Math.min(1, g / slope)) * half;
  axes(ink, width, height, [[lossAt(0), "L = 0"], [slopeAt(0), "dL/dz = 0"]]);
  ink.strokeStyle = colours.rule;
  ink.beginPath();
  ink.moveTo(across(0), 18);
  ink.lineTo(across(0), height - 18);
  ink.stroke();
  ink.fillStyle = colours.soft;
  ink.fillText("0", across(0) + 3, height - 18);
  ink.fillStyle = colours.ink;
  ink.fillText(`${outputs > 1 && alone ? "its output's part of the loss" : "loss"} L, up to ${short(top)}`, 4, 13);
  ink.fillText(`dL/dz, from −${short(slope)} to ${short(slope)}`, 4, middle + 14);
  ink.textAlign = "right";
  ink.fillStyle = colours.soft;
  ink.fillText(AXES[head] || (outputs === 1 ? "logit z" : "z of the example's class"), width - 4,
    height - 4);
  ink.textAlign = "left";
  for (const [target, line] of lines) {
    ink.strokeStyle = outputs === 1 ? classColour(target) : colours.soft;
    ink.fillStyle = ink.strokeStyle;
    const [x, l] = line[Math.floor(line.length * (target ? 0.08 : 0.86))];
    if (outputs === 1) ink.fillText(`t = ${target}`, x, lossAt(l) + 16);
    ink.lineWidth = 1.8;
    for (const [at, place] of [[1, lossAt], [2, slopeAt]]) {
      ink.beginPath();
      line.forEach((one, n) => ink[n ? "lineTo" : "moveTo"](one[0], place(one[at])));
      ink.stroke();
    }
  }
  const tints = given.map(classColour), radii = given.map(() => (count === 1 ? 6 : 2.6));
  ink.globalAlpha = count > 1 ? 0.6 : 1;
  dots(ink, points.map((one) => [across(one[0]), lossAt(one[2])]), radii, tints);
  dots(ink, points.map((one) => [across(one[0]), slopeAt(one[3])]), radii, tints);
  ink.globalAlpha = 1;
  if (hovered !== null && count > 1) {
    const [logit, , loss, g] = points[hovered];
    for (const y of [lossAt(loss), slopeAt(g)]) ring(ink, across(logit), y, 7);
  }
}

const CHARTS = [
  ["loss", [["loss", "blue"]], true],
  ["share right", [["accuracy", "blue"]], false],
  ["‖dL/dz‖ of wrong and right", [["wrong", "vermillion"], ["right", "blue"]], true],
  ["share stuck", [["stuck", "vermillion"]], true],
];

function drawSeries(panel) {
  const { ink, width, height } = prepared(panel.chart), { series } = panel;
  const each = height / CHARTS.length, last = Math.max(10, series.step[series.step.length - 1]);
  const across = (step) => 4 + (Math.log1p(step) / Math.log1p(last)) * (width - 12);
  CHARTS.forEach(([title, keys, log], row) => {
    const top = row * each + 16, bottom = (row + 1) * each - 5;
    const values = keys.flatMap(([key]) => series[key].filter((one) => Number.isFinite(one)));
    const positive = values.filter((one) => one > 0);
    let low = 0, high = 1;
    if (log) {
      high = 10 ** Math.ceil(Math.log10(Math.max(...positive, 1e-6)) - 1e-9);
      low = Math.min(10 ** Math.floor(Math.log10(Math.max(Math.min(...positive, 1), 1e-6))),
        high / 100);
    }
    const place = (value) => {
      const share = log
        ? (Math.log10(Math.max(value, low)) - Math.log10(low)) / (Math.log10(high) - Math.log10(low))
        : (value - low) / (high - low);
      return bottom - Math.min(Math.max(share, 0), 1) * (bottom - top);
    };
    ink.fillStyle = colours.ink;
    ink.fillText(title, 4, row * each + 12);
    ink.textAlign = "right";
    ink.fillStyle = colours.soft;
    const range = log ? `${power(low)} to ${power(high)}` : "0 to 1";
    ink.fillText(log && !positive.length ? "none" : range, width - 4, row * each + 12);
    ink.textAlign = "left";
    ink.strokeStyle = colours.rule;
    ink.strokeRect(4, top, width - 12, bottom - top);
    for (const [key, colour] of keys) {
      ink.strokeStyle = colours[colour];
      ink.lineWidth = 2;
      ink.beginPath();
      let drawn = false;
      series[key].forEach((value, n) => {
        if (!Number.isFinite(value)) { drawn = false; return; }
        ink[drawn ? "lineTo" : "moveTo"](across(series.step[n]), place(value));
        drawn = true;
      });
      ink.stroke();
    }
  });
}

function drawWeights(panel) {
  const { ink, width, height } = prepared(panel.weights), { layers } = panel.training;
  if (layers[0].fanIn === 64) {
    drawTemplates(ink, width, height, layers[0]);
    return;
  }
  const numbers = layers.flatMap((one) => [...one.weight, ...one.bias]);
  const most = Math.max(...numbers.map(Math.abs), 1e-12), gap = 10;
  const columns = layers.reduce((sum, one) => sum + one.fanIn + 1, 0);
  const rows = Math.max(...layers.map((one) => one.fanOut));
  const cell = Math.min(52, (width - 8 - gap * (2 * layers.length - 1)) / columns,
    (height - 22) / rows);
  let x = 4;
  for (const { name, fanIn, fanOut, weight, bias } of layers) {
    ink.fillStyle = colours.ink;
    ink.fillText(layers.length === 1 ? `${name}: weights, bias` : name, x, 13);
    for (let j = 0; j < fanOut; j++) {
      for (let i = 0; i <= fanIn; i++) {
        const value = i < fanIn ? weight[j * fanIn + i] : bias[j];
        const [left, top] = [x + i * cell + (i === fanIn ? gap : 0), 20 + j * cell];
        ink.globalAlpha = Math.min(1, Math.abs(value) / most);
        ink.fillStyle = value < 0 ? colours.vermillion : colours.blue;
        ink.fillRect(left, top, cell - 1, cell - 1);
        ink.globalAlpha = 1;
        if (cell > 34) {
          ink.fillStyle = Math.abs(value) > most / 2 ? colours.paper : colours.ink;
          ink.fillText(short(Number(value.toPrecision(2))), left + 4, top + cell / 2 + 4);
        }
      }
    }
    x += (fanIn + 1) * cell + 2 * gap;
  }
}

// weights of each unit as the image that they look for
function drawTemplates(ink, width, height, { name, weight, fanOut }) {
  const most = Math.max(...weight.map(Math.abs), 1e-12);
  const across = Math.min(fanOut, 5), side = Math.min((width - 8) / across - 8,
    (height - 24) / Math.ceil(fanOut / across) - 8);
  ink.fillStyle = colours.ink;
  ink.fillText(`${name}: weights of each unit`, 4, 13);
  weight.forEach((value, n) => {
    const [unit, pixel] = [Math.floor(n / 64), n % 64];
    const x = 4 + (unit % across) * (side + 8), y = 22 + Math.floor(unit / across) * (side + 8);
    ink.globalAlpha = Math.abs(value) / most;
    ink.fillStyle = value < 0 ? colours.vermillion : colours.blue;
    ink.fillRect(x + (pixel % 8) * (side / 8), y + (pixel >> 3) * (side / 8), side / 8 + 0.2,
      side / 8 + 0.2);
  });
  ink.globalAlpha = 1;
}

function short(value) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−");
  const text = value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e5)
    ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace(/-/g, "−");
}

const power = (value) => `1e${Math.round(Math.log10(value))}`.replace("-", "−");

function draw() {
  readColours();
  for (const side of SIDES) {
    const panel = panels[side];
    if (!panel.training) continue;
    const { columns } = decoded[state.data];
    if (columns === 1) drawLine(panel);
    else if (columns === 2) drawPlane(panel);
    else drawDigits(panel);
    drawCurve(panel);
    drawSeries(panel);
    drawWeights(panel);
    const { loss, accuracy, stuck, wrong } = panel.found;
    panel.numbers.textContent = panel.training.diverged
      ? "The loss is no number any more: the run diverged, and is stopped as mlr stops it."
      : `loss ${short(loss)} · ${short(100 * accuracy)} % right · ${short(100 * stuck)} % stuck` +
        (Number.isFinite(wrong) ? ` · ‖dL/dz‖ of the wrong ${short(wrong)}` : "") +
        (panel.since ? ` · right since update ${panel.since.toLocaleString("en")}` : "");
  }
  const steps = SIDES.map((side) => panels[side].training).filter(Boolean).map((one) => one.step);
  byId("steps").textContent = `${Math.max(0, ...steps).toLocaleString("en")} updates`;
  tell();
}

// the numbers of the example under the pointer
function tell() {
  for (const side of SIDES) {
    const panel = panels[side];
    if (!panel.training) continue;
    if (hovered === null || hovered >= panel.training.data.count) {
      panel.example.textContent = "Point at an example for its numbers.";
      continue;
    }
    const own = panel.training, { z, loss, gradient } = own.judge(hovered);
    const list = (values) => Array.from(values, short).join(", ");
    panel.example.textContent = `z = ${list(z)} · y = ${list(engine.HEADS[own.setting.head](z))} · ` +
      `t = ${list(own.target)} · L = ${short(loss)} · dL/dz = ${list(gradient)}`;
  }
}

function describe() {
  const parts = SIDES.filter((side) => panels[side].training).map((side) => {
    const [head, loss] = pairOf(side);
    return `${head} with ${loss}: ${panels[side].numbers.textContent}`;
  });
  byId("spoken").textContent = `${byId("steps").textContent}. ${parts.join(". ")}`;
}

// ---- controls ----
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
