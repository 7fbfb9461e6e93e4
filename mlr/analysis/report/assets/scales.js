// Where axes begin and end, and what is written next to them.

const DECADES = 8;

/** The smallest, the smallest positive and the largest of numbers in lists. */
function extent(lists) {
  const found = { low: Infinity, positive: Infinity, high: -Infinity };
  for (const list of lists) {
    for (const value of list) {
      if (!isThere(value)) continue;
      found.low = Math.min(found.low, value);
      found.high = Math.max(found.high, value);
      if (value > 0) found.positive = Math.min(found.positive, value);
    }
  }
  return found;
}

/** The scale for a quantity: {log, share, range, zero}; zero: whether less than its floor is there.
 *
 * Shares that differ much are shown of the `whole`, from 0 to 100 %.
 */
function scaleFor(quantity, lists, whole) {
  const { low, positive, high } = extent(lists);
  if (quantity.share && whole && !(high - low < 0.4)) return { share: true, range: [0, 1] };
  const wide = !quantity.share && !quantity.linear && low >= 0 && high / positive > 100;
  if ((quantity.log || wide) && low >= 0) {
    const most = high > 0 ? high : 1;
    const least = Math.max(Math.min(positive, most), most / 10 ** DECADES);
    const floor = 10 ** Math.floor(Math.log10(least) + 1e-9);
    const top = 10 ** Math.ceil(Math.log10(most) - 1e-9);
    return { log: true, range: [floor, Math.max(top, 10 * floor)], zero: low < floor };
  }
  if (!Number.isFinite(low)) return { range: [0, 1] };
  const from = low >= 0 && low < high / 2 ? 0 : low;
  const room = 0.06 * (high - from) || 0.1 * Math.abs(high) || 0.1;
  const [least, most] = [from === 0 ? 0 : from - room, high + room];
  if (!quantity.share) return { range: [least, most] };
  return { share: true, range: [Math.max(least, 0), Math.min(most, 1)] };
}

/** Powers of ten between two, of many only some. */
function decades(low, high, most = 5) {
  const first = Math.round(Math.log10(low));
  const last = Math.round(Math.log10(high));
  const step = Math.max(1, Math.ceil((last - first) / most));
  const found = [];
  for (let exponent = first; exponent <= last; exponent += step) found.push(10 ** exponent);
  return found;
}

/** What is written at the ticks of a vertical axis. */
function tickTexts(scale, ticks) {
  if (!scale.log) {
    return ticks.map(tick => scale.share ? `${number(100 * tick)}\u00a0%` : number(tick));
  }
  return ticks.map(tick => {
    const exponent = Math.round(Math.log10(tick));
    if (scale.zero && tick === scale.range[0]) return "0";
    return exponent >= -2 && exponent <= 3 ? number(tick) : power(exponent);
  });
}
