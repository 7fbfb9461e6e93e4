"use strict";
// Settings of both sides: the page's state, the address that holds it, the command that trains it.

const MATERIAL = JSON.parse(document.getElementById("material").textContent);
const SPEEDS = [[0.1, "6 updates a second"], [1, "60 a second"], [10, "600 a second"],
  [100, "6,000 a second"], [1e9, "as fast as it can"]];
const SIDES = ["a", "b"];
const SHARED = ["data", "noise", "widths", "activation", "init", "weight", "bias", "lr", "momentum",
  "batch", "seed", "threshold"];
const NUMBERS = { // key: least and largest, both allowed, and whole
  noise: [0, 0.4], scale: [0, 1000], weight: [-100, 100], bias: [-100, 100], lr: [1e-6, 1000],
  momentum: [0, 0.999], batch: [1, 600, true], seed: [0, Infinity, true], threshold: [1e-9, 1],
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

function spread(values, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values), wide = high - low || 1;
  return [low - share * wide, high + share * wide];
}

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
