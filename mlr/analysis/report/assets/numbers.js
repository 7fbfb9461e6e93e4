// Data of the page, and numbers as people write them.

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷",
  8: "⁸", 9: "⁹" };

/** Whether a column has a value here: null is none, and undefined a step of other columns. */
function isThere(value) {
  return value !== null && value !== undefined;
}

/** 10 to an integer power, as in 10⁻⁴; uPlot itself writes 0 for all below 0.001. */
function power(exponent) {
  return "10" + [...String(exponent)].map(sign => SUPERSCRIPTS[sign]).join("");
}

/** Three digits, as in 0.0123, 3.2×10⁻⁵ or −1. */
function number(value) {
  if (!isThere(value)) return "none";
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    const [digits, exponent] = value.toExponential(1).split("e");
    return minus(`${Number(digits)}×${power(Number(exponent))}`);
  }
  if (size >= 1000) return minus(Math.round(value).toLocaleString("en"));
  return minus(String(Number(value.toPrecision(3))));
}

/** A share in percent, or any other number. */
function told(value, share) {
  if (!isThere(value)) return "none";
  return share ? `${minus((100 * value).toFixed(1))}\u00a0%` : number(value);
}

function minus(text) {
  return text.replace(/^-/, "−");
}

/** An element of this name and class that holds text; never HTML. */
function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}
