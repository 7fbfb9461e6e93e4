// One chart: a canvas that uPlot draws, with its values in words below it.

const COLOURS = ["blue", "vermillion", "green", "purple", "orange", "sky", "grey"];
const DASHES = [[], [9, 5], [2, 4], [10, 4, 2, 4]];
const MOST_VALUES = 12;
const charts = [];
const spoken = document.getElementById("spoken");

/** A colour of the stylesheet, as it is in this light. */
function colour(name) {
  return getComputedStyle(root).getPropertyValue(`--${name}`).trim();
}

/** Between colours of the stylesheet, for values that have an order; `at` from 0 to 1. */
function ramp(at) {
  const stops = ["orange", "purple", "blue"].map(name =>
    colour(name).match(/\w\w/g).map(part => parseInt(part, 16)));
  const place = Math.min(at * 2, 1.999);
  const [first, second] = stops.slice(Math.floor(place));
  const mixed = first.map((part, i) => Math.round(part + (second[i] - part) * (place % 1)));
  return "#" + mixed.map(part => part.toString(16).padStart(2, "0")).join("");
}

/** One colour and one dash a pair, told apart in grey print too. */
function styleOf(pair) {
  return { colour: colour(COLOURS[pair % COLOURS.length]), dash: DASHES[pair % DASHES.length] };
}

/** A chart in `figure`; `describe` says what is drawn, at each `draw`.
 *
 * It returns {empty: why}, or:
 *   x: {range, log, ticks, texts}; y: a scale; data: [x, …] as uPlot has it;
 *   series: [{label, colour, dash, width, silent, hidden}], of which a silent one has no value
 *   below the chart; bands: uPlot's; sync: the name of the cursor that charts share;
 *   where(x), told(value, series, place), extra(x): words below the chart, where the cursor is;
 *   idle: where it is without one, empty for no values then; note: next to the name;
 *   text: for those who cannot see it; marks(plot): draws more; toggle(series): on its button.
 */
class Chart {
  constructor(figure, describe) {
    this.place = figure.querySelector(".chart");
    this.list = figure.querySelector(".values");
    this.caption = figure.querySelector("figcaption");
    this.name = this.caption.textContent;
    this.describe = describe;
    this.place.addEventListener("keydown", event => this.move(event));
    this.place.addEventListener("blur", () =>
      this.plot?.setCursor({ left: -10, top: -10 }, true, true));
    charts.push(this);
  }

  draw() {
    this.plot?.destroy();
    this.plot = null;
    this.what = this.describe();
    this.place.replaceChildren();
    this.list.replaceChildren();
    this.caption.replaceChildren(this.name, element("span", "small", this.what.note ?? ""));
    if (this.what.empty) {
      this.place.append(element("p", "small", this.what.empty));
      this.place.setAttribute("aria-label", `${this.name}: ${this.what.empty}`);
      return;
    }
    this.place.setAttribute("aria-label", `${this.name}: ${this.what.text}`);
    this.plot = new uPlot(this.options(), plotted(this.what), this.place);
    this.makeList();
    this.read();
  }

  size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  fit() {
    this.plot?.setSize(this.size());
  }

  options() {
    const { x, y, series, bands, sync, marks } = this.what;
    const rule = { stroke: colour("rule"), width: 1 };
    const axis = { stroke: colour("soft"), font: "13px system-ui, sans-serif", gap: 4,
      grid: rule, ticks: { ...rule, size: 4 } };
    const all = (plot, ticks) => ticks;  // uPlot leaves out some of a logarithmic axis
    return {
      ...this.size(),
      pxAlign: 0,
      padding: [10, 26, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 8 },
        drag: { setScale: Boolean(sync), x: Boolean(sync), y: false },
        sync: sync ? { key: sync, setSeries: false } : undefined },
      scales: {
        x: { time: false, distr: x.log ? 3 : 1, range: (plot, low, high) => {
          const xs = plot.data[0];
          return low === xs[0] && high === xs[xs.length - 1] ? x.range : [low, high];
        } },
        y: { distr: y.log ? 3 : 1, range: y.range },
      },
      axes: [
        { ...axis, size: 28, ...(x.ticks ? { splits: () => x.ticks, filter: all } : {}),
          values: (plot, ticks) => ticks.map(x.texts ?? number) },
        { ...axis, size: 58, space: 32, values: (plot, ticks) => tickTexts(y, ticks),
          ...(y.log ? { splits: () => decades(...y.range), filter: all } : {}) },
      ],
      series: [{}, ...series.map(one => ({ stroke: one.colour, width: one.width ?? 2.5, dash: one.dash,
        show: !one.hidden, spanGaps: true, pxAlign: 0, points: { show: false } }))],
      bands: bands ?? [],
      hooks: { setCursor: [() => this.read()], draw: marks ? [marks] : [] },
    };
  }

  /** One item for where the cursor is, and one a series. */
  makeList() {
    this.where = element("li", "where");
    this.list.append(this.where);
    this.items = [];
    this.what.series.forEach((one, place) => {
      if (one.silent || this.items.length === MOST_VALUES) return;
      const item = element("li", one.hidden ? "off" : "");
      const swatch = element("span", "swatch");
      swatch.style.borderTopColor = one.colour;
      const [dash = 0] = one.dash ?? [];
      swatch.style.borderTopStyle = dash === 0 ? "solid" : dash < 4 ? "dotted" : "dashed";
      const value = element("b");
      const parts = [swatch, element("span", "", one.label), value];
      if (this.what.toggle) {
        const button = element("button");
        button.type = "button";
        button.setAttribute("aria-pressed", String(!one.hidden));
        button.addEventListener("click", () => this.what.toggle(one));
        button.append(...parts);
        item.append(button);
      } else item.append(...parts);
      this.list.append(item);
      this.items.push({ place, value, label: one.label });
    });
    const named = this.what.series.filter(one => !one.silent).length;
    if (named > this.items.length) {
      this.list.append(element("li", "small", `… and ${named - this.items.length} more`));
    }
    this.more = element("li", "more");
    this.list.append(this.more);
  }

  /** Write the values under the cursor; without one, those at the end. */
  read() {
    if (!this.items) return;
    const { data: columns, where, told: tell, extra } = this.what;
    const at = this.plot?.cursor?.idx ?? null;
    const place = at ?? columns[0].length - 1;
    this.where.textContent = at === null ? this.what.idle : where(columns[0][place]);
    const silent = at === null && !this.what.idle;
    for (const item of this.items) {
      const value = nearest(columns[item.place + 1], place);
      item.value.textContent = silent ? "" : tell(value, item.place, place);
    }
    this.more.textContent = at === null ? "" : extra?.(columns[0][place]) ?? "";
  }

  /** Arrow keys move the cursor by a point, with shift by ten. */
  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.plot) return;
    event.preventDefault();
    const xs = this.plot.data[0];
    const from = this.plot.cursor.idx ?? (step > 0 ? -1 : xs.length);
    const to = Math.min(Math.max(from + step * (event.shiftKey ? 10 : 1), 0), xs.length - 1);
    const left = this.plot.valToPos(xs[to], "x");
    this.plot.setCursor({ left, top: this.plot.over.clientHeight / 2 }, true, true);
    const values = this.items.map(item => `${item.label} ${item.value.textContent}`);
    spoken.textContent = `${this.name}, ${this.where.textContent}: ${values.join(", ")}`;
  }
}

/** The columns as they can be drawn: on a logarithmic axis nothing lies below its floor. */
function plotted({ data: columns, y }) {
  if (!y.log) return columns;
  const raised = value => (isThere(value) ? Math.max(value, y.range[0]) : value);
  return [columns[0], ...columns.slice(1).map(column => column.map(raised))];
}

/** The value at a place of a column, or the last before it, or the first behind. */
function nearest(column, place) {
  for (let at = place; at >= 0; at--) if (isThere(column[at])) return column[at];
  return column.slice(place).find(isThere) ?? null;
}

/** A group of radio buttons; `change` gets the place of the one that was chosen. */
function choices(controls, legend, options, change) {
  const set = element("fieldset");
  set.append(element("legend", "", legend));
  const name = `choice-${document.querySelectorAll("fieldset").length}`;
  options.forEach((text, place) => {
    const label = element("label");
    const input = element("input");
    Object.assign(input, { type: "radio", name, checked: place === 0 });
    input.addEventListener("change", () => change(place));
    label.append(input, element("span", "", text));
    set.append(label);
  });
  controls.append(set);
}

function section(name) {
  return document.getElementById(name);
}

/** The charts of a section's matrices; `describe` gets the place of the pair. */
function matrix(name, describe) {
  section(name).querySelectorAll(".matrix").forEach(place =>
    place.style.setProperty("--columns", place.dataset.columns));
  return [...section(name).querySelectorAll(".matrix .panel[data-pair]")].map(figure =>
    new Chart(figure, () => describe(Number(figure.dataset.pair))));
}

/** The loss's name of a pair, in whose units losses are. */
function lossOf(pair) {
  return data.losses[pair];
}
