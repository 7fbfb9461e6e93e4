// Loss and dL/dz of a pair against the logit, and the mean that was measured there.

const theory = { loss: false, own: false };
const SAME = { gradient: [-1.15, 1.15], loss: [0, 5] };
const TARGETS = [{ label: "target 0", colour: "vermillion", dash: [9, 5] },
  { label: "target 1", colour: "blue", dash: [] }];

function startTheory() {
  if (!section("theory")) return;
  const charts = matrix("theory", describeTheory);
  const controls = section("theory").querySelector(".controls");
  const set = key => place => { theory[key] = place === 1; redraw(charts); };
  choices(controls, "Show", ["dL/dz", "loss"], set("loss"));
  choices(controls, "vertical scale", ["the same", "each its own"], set("own"));
}

function describeTheory(pair) {
  const found = data.theory.pairs[pair];
  if (found.why) return { empty: found.why };
  const kind = theory.loss ? "loss" : "gradient";
  const points = theory.loss ? [[], []] : found.points;
  const whole = [...found[kind], ...points.map(row => row.map(point => point[1]))];
  const y = theory.own ? scaleFor({ linear: true }, whole) : { range: SAME[kind] };
  const note = found.outputs > 1 ? `${found.outputs} outputs, the others equal` : "";
  return {
    x: { range: [-11, 11] },
    y,
    data: [data.theory.z, ...found[kind]],
    series: TARGETS.map(one => ({ ...one, colour: colour(one.colour) })),
    marks: plot => drawPoints(plot, points),
    sync: "theory",
    where: z => `z = ${number(z)}`,
    idle: "",
    told: value => number(value),
    extra: z => measuredText(points, z),
    note,
    text: `${kind === "loss" ? "loss" : "dL/dz"} against the logit; at −5, 0 and 5 for target 1: `
      + [-5, 0, 5].map(z => number(found[kind][1][data.theory.z.indexOf(z)])).join(", "),
  };
}

function measuredText(points, z) {
  const near = points.map(row => row.find(point => Math.abs(point[0] - z) <= 0.5));
  const texts = near.map((point, target) => point && `target ${target}: ${number(point[1])}`);
  return texts.some(Boolean) ? `measured, ${texts.filter(Boolean).join(", ")}` : "";
}

/** Circles whose area is the share of outputs, and never too small to be seen. */
function drawPoints(plot, points) {
  const { ctx, bbox } = plot;
  const unit = uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = 1.5 * unit;
  points.forEach((row, target) => {
    ctx.strokeStyle = colour(TARGETS[target].colour);
    ctx.fillStyle = ctx.strokeStyle + "55";
    for (const [z, slope, share] of row) {
      ctx.beginPath();
      const size = (2.5 + 13 * Math.sqrt(share)) * unit;
      ctx.arc(plot.valToPos(z, "x", true), plot.valToPos(slope, "y", true), size, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
  });
  ctx.restore();
}
