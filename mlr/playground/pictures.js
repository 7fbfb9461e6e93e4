"use strict";
// Pictures of a side: examples, the curve of its pair, the course of its training, weights.

const GRID = 44; // cells of a side of the plane

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
  const ratio = window.devicePixelRatio || 1, name = [state.data, width, height, ratio, colours.ink].join();
  if (sheet && sheet.name === name) return sheet.canvas;
  const canvas = document.createElement("canvas"), { features, labels } = decoded[state.data];
  const low = features.reduce((least, one) => Math.min(least, one), Infinity);
  const high = features.reduce((most, one) => Math.max(most, one), -Infinity);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const ink = canvas.getContext("2d"), pixel = (cell * 0.72) / 8;
  ink.scale(ratio, ratio);
  ink.fillStyle = colours.ink;
  labels.forEach((_, n) => {
    const [x, y] = [(n % COLUMNS) * cell, Math.floor(n / COLUMNS) * cell];
    for (let p = 0; p < 64; p++) {
      ink.globalAlpha = (features[64 * n + p] - low) / (high - low || 1);
      ink.fillRect(x + cell * 0.14 + (p % 8) * pixel, y + cell * 0.04 + (p >> 3) * pixel,
        pixel + 0.3, pixel + 0.3);
    }
  });
  sheet = { name, canvas };
  return canvas;
}

function drawDigits(panel) {
  const { ink, width, height } = prepared(panel.plane), { labels } = decoded[state.data];
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
