// Final numbers against a setting that is a number: a line a pair, bars over seeds.

const sensitivity = { final: 0, hidden: new Set() };

function startSensitivity() {
  if (!section("sensitivity")) return;
  const charts = [...section("sensitivity").querySelectorAll(".panel")].map(figure =>
    new Chart(figure, () => describeSensitivity(data.keys[figure.dataset.key], charts)));
  choices(section("sensitivity").querySelector(".controls"), "Show",
    data.finals.map(one => one.label), place => { sensitivity.final = place; redraw(charts); });
}

function describeSensitivity([key, name], charts) {
  const quantity = data.finals[sensitivity.final];
  const values = [...new Set(data.groups.map(group => group.values[key]))].filter(value =>
    typeof value === "number").sort((a, b) => a - b);
  const lines = data.pairs.map((label, pair) => ({ label, pair, cells: values.map(value =>
    cellOf(pair, key, value, quantity.tag)) })).filter(line => line.cells.some(Boolean));
  const shown = lines.filter(line => !sensitivity.hidden.has(line.pair));
  const lists = shown.map(line => line.cells.flatMap(cell => cell?.final ?? []));
  const y = scaleFor(quantity, lists, quantity.more);
  const log = values[0] > 0 && values.at(-1) / values[0] >= 20;
  return {
    x: { log, range: padded(values, log), ticks: values.length <= 12 ? values
      : log ? decades(values[0], values.at(-1)) : undefined },
    y,
    data: [values, ...lines.map(line => line.cells.map(cell => cell?.final?.[0] ?? null))],
    series: lines.map(line => ({ ...styleOf(line.pair), label: line.label, pair: line.pair,
      hidden: sensitivity.hidden.has(line.pair) })),
    marks: plot => drawCells(plot, values, shown, y),
    where: value => `${name} = ${number(value)}`,
    idle: "",
    told: (value, series, place) => cellText(lines[series].cells[place], quantity),
    text: `${quantity.label} of ${lines.length} pairs at ${values.map(number).join(", ")}`,
    toggle: ({ pair }) => {
      if (!sensitivity.hidden.delete(pair)) sensitivity.hidden.add(pair);
      const focused = document.activeElement?.textContent;
      redraw(charts);
      [...section("sensitivity").querySelectorAll(".values button")]
        .find(button => button.textContent === focused)?.focus();
    },
  };
}

/** Of a pair's groups with this value the one that validation data choose. */
function cellOf(pair, key, value, tag) {
  const found = data.groups.filter(group => group.pair === pair && group.values[key] === value)
    .sort((one, other) => one.choice - other.choice);
  const group = found.find(one => one.finals[tag]) ?? found[0];
  return group && { final: group.finals[tag], diverged: group.diverged, runs: group.runs };
}

function cellText(cell, quantity) {
  if (!cell) return "not tried";
  const lost = cell.diverged ? `, ${cell.diverged} of ${cell.runs} diverged` : "";
  if (!cell.final) return cell.diverged ? `${cell.diverged} of ${cell.runs} diverged` : "none";
  return told(cell.final[0], quantity.share) + lost;
}

function padded(values, log) {
  const [low, high] = [values[0], values.at(-1)];
  if (log) {
    const room = (high / low) ** 0.05;
    return [low / room, high * room];
  }
  const room = 0.05 * (high - low) || 1;
  return [low - room, high + room];
}

/** Points, bars from the 10 to the 90 % quantile, and × where runs diverged. */
function drawCells(plot, values, lines, y) {
  const { ctx } = plot;
  const unit = uPlot.pxRatio;
  const raise = value => (y.log ? Math.max(value, y.range[0]) : value);
  const bottom = plot.bbox.top + plot.bbox.height - 9 * unit;
  ctx.save();
  ctx.setLineDash([]);
  ctx.lineWidth = 1.5 * unit;
  values.forEach((value, place) => {
    const there = lines.filter(one => one.cells[place]);
    const lost = there.filter(one => !one.cells[place].final);
    for (const one of there) {
      const { final, diverged } = one.cells[place];
      const among = final ? there : lost;
      const shift = (among.indexOf(one) - (among.length - 1) / 2) * (final ? 3 : 14) * unit;
      const x = plot.valToPos(value, "x", true);
      ctx.strokeStyle = ctx.fillStyle = styleOf(one.pair).colour;
      const [mid, low, high] = (final ?? []).map(number => plot.valToPos(raise(number), "y", true));
      if (final) bar(ctx, x, x + shift, mid, low, high, unit);
      if (diverged) cross(ctx, final ? x : x + shift, mid ?? bottom, 5 * unit);
    }
  });
  ctx.restore();
}

/** A point at `x`, and its bar next to it where others have theirs. */
function bar(ctx, x, beside, mid, low, high, unit) {
  line(ctx, beside, low, beside, high);
  ctx.beginPath();
  ctx.arc(x, mid, 3.5 * unit, 0, 2 * Math.PI);
  ctx.fill();
}

function cross(ctx, x, y, size) {
  line(ctx, x - size, y - size, x + size, y + size);
  line(ctx, x - size, y + size, x + size, y - size);
}

function line(ctx, x, y, toX, toY) {
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}
