// Learning curves: what was recorded against the number of updates.

const curves = { quantity: 0, all: false, own: false };

function startCurves() {
  if (!section("curves")) return;
  const charts = matrix("curves", describeCurves);
  const controls = section("curves").querySelector(".controls");
  const show = (legend, options, set) => choices(controls, legend, options, place => {
    set(place);
    redraw(charts);
  });
  show("Show", data.quantities.map(one => one.label), place => { curves.quantity = place; });
  if (data.groups.some(group => !group.best)) {
    show("of each pair", ["the chosen setting", "every setting"],
      place => { curves.all = place === 1; });
  }
  if (charts.length > 1) {
    show("vertical scale", ["the same", "each its own"], place => { curves.own = place === 1; });
  }
}

function redraw(charts) {
  charts.forEach(chart => chart.draw());
}

/** Step numbers, mean and quantiles of a group's quantity; null where it has none. */
function curveOf(group, tag) {
  const found = group.curves[tag];
  if (!found) return null;
  const [place, mean, low, high] = found;
  return { steps: data.steps[place], mean, low, high };
}

function describeCurves(pair) {
  const quantity = data.quantities[curves.quantity];
  const known = data.groups.filter(group => group.curves[quantity.tag]
    && data.sets[group.pair] === data.sets[pair]);
  const own = known.filter(group => group.pair === pair && (curves.all || group.best));
  if (!own.length) return { empty: "nothing was recorded" };
  const comparable = known.filter(group => group.best && group.pair !== pair
    && (!quantity.of_loss || lossOf(group.pair) === lossOf(pair)));
  const shown = curves.all ? drawnLines(own, quantity) : drawnBand(own[0], comparable, quantity);
  const scaled = curves.own ? own : known.filter(group => (curves.all || group.best)
    && (!quantity.of_loss || lossOf(group.pair) === lossOf(pair)));
  const last = Math.max(...known.map(group => curveOf(group, quantity.tag).steps.at(-1)));
  return {
    ...shown,
    x: { range: [0, last || 1], texts: step => step.toLocaleString("en") },
    y: scaleFor(quantity, listsOf(steady(scaled), quantity.tag), !curves.own),
    sync: "curves",
    where: step => `update ${step.toLocaleString("en")}`,
    idle: "at the end",
    note: noteOf(own),
    text: textOf(own[0], quantity),
  };
}

/** Groups without a diverged run, where there are any: the others may leave the axis. */
function steady(groups) {
  const found = groups.filter(group => !group.diverged);
  return found.length ? found : groups;
}

/** The chosen setting with its band; the other pairs in grey behind. */
function drawnBand(group, others, quantity) {
  const { steps, mean, low, high } = curveOf(group, quantity.tag);
  const tables = others.map(other => curveOf(other, quantity.tag)).map(one => [one.steps, one.mean]);
  const own = low ? [steps, high, low, mean] : [steps, mean];
  const main = colour(COLOURS[0]);
  const silent = { silent: true, colour: "transparent", width: 0 };
  const grey = tables.map(() => ({ silent: true, colour: colour("grey") + "66", width: 1 }));
  const label = low ? "mean" : "run";
  const count = tables.length;
  const joined = uPlot.join([...tables, own]);
  return {
    data: joined,
    series: [...grey, ...(low ? [silent, silent] : []), { label, colour: main, width: 3 }],
    bands: low ? [{ series: [count + 1, count + 2], fill: main + "38" }] : [],
    told: (value, series, place) => {
      if (!low) return told(value, quantity.share);
      const [most, least] = [1, 2].map(i => told(nearest(joined[count + i], place), quantity.share));
      return `${told(value, quantity.share)} (${least.replace("\u00a0%", "")} … ${most})`;
    },
  };
}

/** A line a setting, in the order of the settings' values. */
function drawnLines(groups, quantity) {
  const order = [...groups].sort((one, other) => compareValues(one.values, other.values));
  const joined = uPlot.join(order.map(group => {
    const { steps, mean } = curveOf(group, quantity.tag);
    return [steps, mean];
  }));
  const series = order.map((group, place) => ({ label: group.label || "run", width: 2,
    colour: ramp(place / Math.max(order.length - 1, 1)), dash: DASHES[place % 3] }));
  return { data: joined, series, told: value => told(value, quantity.share) };
}

function compareValues(one, other) {
  for (const key of Object.keys(one)) {
    const [a, b] = [one[key], other[key]];
    if (a === b) continue;
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a) < String(b) ? -1 : 1;
  }
  return 0;
}

function listsOf(groups, tag) {
  return groups.flatMap(group => {
    const { mean, low, high } = curveOf(group, tag);
    return curves.all || !low ? [mean] : [mean, low, high];
  });
}

/** The setting that is drawn, and how many runs there are. */
function noteOf(groups) {
  const runs = groups.reduce((sum, group) => sum + group.runs, 0);
  const diverged = groups.reduce((sum, group) => sum + group.diverged, 0);
  const parts = groups.length === 1 && groups[0].label ? [groups[0].label] : [];
  parts.push(`${runs} run${runs === 1 ? "" : "s"}`);
  if (diverged) parts.push(`${diverged} diverged`);
  return parts.join(", ");
}

/** What is seen, in words. */
function textOf(group, quantity) {
  const { steps, mean } = curveOf(group, quantity.tag);
  const [first, last] = [mean[0], mean.at(-1)].map(value => told(value, quantity.share));
  return `${quantity.label} from ${first} to ${last} in ${steps.at(-1).toLocaleString("en")} updates`;
}
