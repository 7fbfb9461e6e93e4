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
    x: { log, range: padded(values, log), ticks: values.length <= 12 ? values : undefined },
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

/** The best of a pair's groups with this value: groups come best first. */
function cellOf(pair, key, value, tag) {
  const found = data.groups.filter(group => group.pair === pair && group.values[key] === value);
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
  ctx.save();
  ctx.lineWidth = 1.5 * unit;
  for (const { pair, cells } of lines) {
    ctx.strokeStyle = ctx.fillStyle = styleOf(pair).colour;
    cells.forEach((cell, place) => {
      if (!cell) return;
      const shift = (pair - (data.pairs.length - 1) / 2) * 3 * unit;
      const x = plot.valToPos(values[place], "x", true) + shift;
      const [mid, low, high] = (cell.final ?? []).map(value => plot.valToPos(raise(value), "y", true));
      if (cell.final) {
        line(ctx, x, low, x, high);
        ctx.beginPath();
        ctx.arc(x - shift, mid, 3.5 * unit, 0, 2 * Math.PI);
        ctx.fill();
      }
      if (cell.diverged) cross(ctx, x, mid ?? plot.bbox.top + plot.bbox.height - 8 * unit, 6 * unit);
    });
  }
  ctx.restore();
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
