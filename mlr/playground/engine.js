"use strict";
// The playground's engine: the kernels, initial weights, orders and updates of mlr in float64.
// Pure of the page: it runs in a browser, and under Node for tests. Shapes as in Python: a kernel
// takes logits z and targets t of one example, arrays of K numbers; it returns the loss, and
// writes dL/dz into g. mlr/objectives/kernels has the same formulas, and says why they are so.

const engine = (() => {
  const LOG_FLOOR = -100;
  const times = (a, b) => (a === 0 ? 0 : a * b); // 0·∞ = 0

  // ---- heads and the terms of both classes of an output ----
  function sigma(z) {
    const e = Math.exp(-Math.abs(z));
    return (z > 0 ? 1 : e) / (1 + e);
  }
  const softplus = (z) => (z > 40 ? z : Math.log1p(Math.exp(z)));
  const clamp = (z, low, high) => (z < low ? low : z > high ? high : z);

  const swapped = (one, rate) => ({
    p: one.rest, rest: one.p, cost: one.costOfRest, costOfRest: one.cost, rate, per: 1,
  });

  function sigmoidTerms(z) {
    const y = sigma(z), rest = sigma(-z);
    const one = { p: y, rest, cost: softplus(-z), costOfRest: softplus(z), rate: rest, per: 1 };
    return { one, zero: swapped(one, y), slope: y * rest };
  }

  function logOf(p, rest) {
    if (p > 0.5) return Math.log1p(-rest);
    return p === 0 ? -Infinity : Math.log(p);
  }

  function flooredTerms(y, rest, slope) {
    const logs = [logOf(y, rest), logOf(rest, y)];
    const term = (p, other, logP, logOther) => {
      const floored = logP <= LOG_FLOOR;
      return {
        p, rest: other, cost: floored ? -LOG_FLOOR : -logP, costOfRest: -logOther,
        rate: floored ? 0 : slope, per: floored ? 1 : p,
      };
    };
    return { one: term(y, rest, ...logs), zero: term(rest, y, logs[1], logs[0]), slope };
  }

  function clippedTerms(z) {
    const y = clamp(z, 0, 1);
    return flooredTerms(y, 1 - y, y === z ? 1 : 0);
  }

  function hardSigmoidTerms(z) {
    const w = clamp(z, -3, 3);
    return flooredTerms((w + 3) / 6, (3 - w) / 6, (w === z ? 1 : 0) / 6);
  }

  function linearTerms(z) {
    const one = { p: Math.max(z, 0), rest: Math.max(1 - z, 0) };
    return { one, zero: { p: one.rest, rest: one.p }, slope: 1 };
  }

  const errorOf = (terms, t) => (1 - t) * terms.one.p - t * terms.zero.p;

  function largest(values) {
    let at = 0;
    for (let k = 1; k < values.length; k++) if (values[k] > values[at]) at = k;
    return at;
  }

  function sparsemax(z) {
    const top = Math.max(...z);
    const below = Array.from(z, (one) => one - top);
    const ordered = [...below].sort((a, b) => b - a);
    let sum = 0, size = 0;
    const aboveOne = ordered.map((one, n) => {
      sum += one;
      if ((n + 1) * one > sum - 1) size++;
      return sum - 1;
    });
    size = Math.max(size, 1);
    const tau = aboveOne[size - 1] / size;
    return { y: below.map((one) => Math.max(one - tau, 0)), below, tau };
  }

  function sparsemaxTerms(z) {
    const { y } = sparsemax(z), top = largest(y);
    const others = y.reduce((sum, one, k) => (k === top ? sum : sum + one), 0);
    return y.map((one, k) => flooredTerms(one, k === top ? others : 1 - one, one > 0 ? 1 : 0));
  }

  function belowLargest(z) {
    const top = largest(z), below = Array.from(z, (one) => one - z[top]);
    let others = 0;
    for (let k = 0; k < z.length; k++) if (k !== top) others += Math.exp(below[k]);
    return { below, top, others };
  }

  function softmaxTerms(z) {
    const { below, top, others } = belowLargest(z);
    const whole = Math.exp(below[top]) + others, logWhole = Math.log1p(others);
    return below.map((b, k) => {
      const y = Math.exp(b) / whole;
      if (k !== top) {
        const cost = logWhole - b;
        return { p: y, rest: 1 - y, cost, costOfRest: -Math.log1p(-y), rate: 1 - y, per: 1 };
      }
      const rest = others / whole;
      const costOfRest = others > 0.5
        ? -Math.log1p(-1 / whole)
        : logWhole - logSumExp(below, top);
      return { p: y, rest, cost: logWhole - b, costOfRest, rate: rest, per: 1 };
    });
  }

  function logSumExp(values, without) {
    let top = -Infinity, sum = 0;
    values.forEach((one, k) => { if (k !== without && one > top) top = one; });
    values.forEach((one, k) => { if (k !== without) sum += Math.exp(one - top); });
    return top + Math.log(sum);
  }

  function sumOfOthers(values) {
    let at = 0;
    values.forEach((one, k) => { if (Math.abs(one) > Math.abs(values[at])) at = k; });
    const others = values.reduce((sum, one, k) => (k === at ? sum : sum + one), 0);
    return values.map((one, k) => (k === at ? others : others + values[at] - one));
  }

  // ---- costs f of one class, and their falls −p f'(p) ----
  const LOGARITHM = { value: (term) => term.cost, fall: () => 1 };

  function focal(gamma) {
    const power = (term) => (Number.isInteger(gamma) && gamma >= 0 && gamma < 9
      ? Array.from({ length: gamma }).reduce((product) => product * term.rest, 1)
      : Math.exp(-gamma * term.costOfRest));
    return {
      value: (term) => times(power(term), term.cost),
      fall: (term) => {
        const ratio = term.rest === 0 ? 1 : term.cost / term.rest;
        return power(term) * (1 + gamma * times(term.p, ratio));
      },
    };
  }

  const generalised = (q) => ({
    value: (term) => -Math.expm1(-q * term.cost) / q,
    fall: (term) => Math.exp(-q * term.cost),
  });

  // ---- kernels of a head whose outputs are alone, from its terms (an array of K) ----
  const toLogits = (term, fall) => times(fall, term.rate) / term.per;
  const same = () => (t) => t;

  function classCosts(cost, both, weighOf = same) {
    return (termsOf) => (z, t, g) => {
      const terms = termsOf(z), weigh = weighOf(z.length), pairs = both || z.length === 1;
      let loss = 0;
      for (let k = 0; k < z.length; k++) {
        const { one, zero } = terms[k];
        let own = times(weigh(t[k]), cost.value(one));
        g[k] = -toLogits(one, weigh(t[k]) * cost.fall(one));
        if (pairs) {
          own += times(weigh(1 - t[k]), cost.value(zero));
          g[k] += toLogits(zero, weigh(1 - t[k]) * cost.fall(zero));
        }
        loss += own;
      }
      return loss;
    };
  }

  const errorCosts = (value, slope) => (termsOf) => (z, t, g) => {
    const terms = termsOf(z);
    let loss = 0;
    for (let k = 0; k < z.length; k++) {
      const d = errorOf(terms[k], t[k]);
      loss += value(d);
      g[k] = slope(d) * terms[k].slope;
    }
    return loss;
  };

  const hinge = (termsOf) => (z, t, g) => {
    const terms = termsOf(z);
    let loss = 0;
    for (let k = 0; k < z.length; k++) {
      const { p, rest } = terms[k].one;
      loss += times(t[k], rest) + times(1 - t[k], p);
      g[k] = 2 * ((1 - t[k]) * Math.sign(p) - t[k] * Math.sign(rest)) * terms[k].slope;
    }
    return 2 * loss;
  };

  const smoothing = (epsilon) => (outputs) => (t) =>
    (1 - epsilon) * t + epsilon / Math.max(outputs, 2);

  const LOSSES = {
    se: errorCosts((d) => 0.5 * d * d, (d) => d),
    bce: classCosts(LOGARITHM, true),
    ce: classCosts(LOGARITHM, false),
    mae: errorCosts(Math.abs, Math.sign),
    hinge,
    focal: classCosts(focal(2), false),
    gce: classCosts(generalised(0.7), false),
    smoothed_ce: classCosts(LOGARITHM, false, smoothing(0.1)),
  };

  const each = (terms) => (z) => Array.from(z, terms);
  const alone = (terms, matching) => Object.fromEntries([
    ...Object.entries(LOSSES).map(([name, make]) => [name, make(each(terms))]),
    ["matching", matching],
  ]);

  // dL/dz = y − t, and a loss of y − t = d and z
  const matched = (terms, lossOf) => (z, t, g) => {
    let loss = 0;
    for (let k = 0; k < z.length; k++) {
      g[k] = errorOf(terms(z[k]), t[k]);
      loss += lossOf(z[k], g[k], t[k]);
    }
    return loss;
  };

  const linearErrors = (value, slope) => (z, t, g) => {
    let loss = 0;
    for (let k = 0; k < z.length; k++) {
      const d = z[k] - t[k];
      loss += value(d);
      g[k] = slope(d);
    }
    return loss;
  };
  const linearSe = linearErrors((d) => 0.5 * d * d, (d) => d);

  // ---- the softmax and sparsemax, whose outputs share one probability ----
  const softmaxToLogits = (terms, falls) => {
    const others = sumOfOthers(falls);
    return terms.map((term, k) => term.p * others[k] - falls[k] * term.rest);
  };
  const softmaxError = (term, t) => (1 - t) * term.p - t * term.rest;
  const put = (g, values) => values.forEach((one, k) => { g[k] = one; });
  const total = (values) => values.reduce((sum, one) => sum + one, 0);

  const softmaxCosts = (cost, weighOf = same) => (z, t, g) => {
    const terms = softmaxTerms(z), weigh = weighOf(z.length);
    put(g, softmaxToLogits(terms, terms.map((one, k) => times(weigh(t[k]), cost.fall(one)))));
    return total(terms.map((one, k) => times(weigh(t[k]), cost.value(one))));
  };

  function softmaxCe(z, t, g) {
    const { below, top, others } = belowLargest(z);
    const whole = Math.exp(below[top]) + others;
    const y = below.map((one) => Math.exp(one) / whole);
    const d = y.map((one, k) => one - t[k]), missed = total(d);
    put(g, d.map((one, k) => one - t[k] * y[k] * missed));
    return total(below.map((one, k) => times(t[k], Math.log1p(others) - one)));
  }

  function softmaxSe(z, t, g) {
    const terms = softmaxTerms(z), d = terms.map((one, k) => softmaxError(one, t[k]));
    put(g, softmaxToLogits(terms, terms.map((one, k) => -one.p * d[k])));
    return 0.5 * total(d.map((one) => one * one));
  }

  function softmaxBce(z, t, g) {
    const terms = softmaxTerms(z), top = largest(z);
    const falls = terms.map((one, k) =>
      (k === top ? 0 : t[k] - ((1 - t[k]) * one.p) / one.rest));
    const others = sumOfOthers(falls), first = terms[top];
    const rest = logSumExp(Array.from(z), top);
    put(g, terms.map((one, k) => {
      const own = (1 - t[k]) * one.p - t[k] * one.rest;
      if (k === top) return one.p * others[k] + own;
      const among = Math.exp(z[k] - rest);
      const ofTop = t[top] * one.p - (1 - t[top]) * first.p * among;
      return one.p * others[k] + ofTop + own;
    }));
    return total(terms.map((one, k) =>
      times(t[k], one.cost) + times(1 - t[k], one.costOfRest)));
  }

  function softmaxMae(z, t, g) {
    const terms = softmaxTerms(z), d = terms.map((one, k) => softmaxError(one, t[k]));
    const share = (sign) =>
      total(terms.map((one, k) => (Math.sign(d[k]) === sign ? one.p : 0)));
    const over = share(1), under = share(-1), even = share(0);
    put(g, terms.map((one, k) => {
      if (d[k] > 0) return one.p * (2 * under + even);
      return d[k] < 0 ? -one.p * (2 * over + even) : one.p * (under - over);
    }));
    return total(d.map(Math.abs));
  }

  function softmaxHinge(z, t, g) {
    const terms = softmaxTerms(z);
    put(g, softmaxToLogits(terms, terms.map((one, k) => t[k] * one.p)).map((one) => 4 * one));
    return 2 * total(terms.map((one, k) => t[k] * one.rest + (1 - t[k]) * one.p));
  }

  // (δ_kj − s_j/Σs) s_k of dL/dy, s = 1 in the support
  const projected = (kernel) => (z, t, g) => {
    const loss = kernel(z, t, g), s = sparsemax(z).y.map(Math.sign), top = largest(s);
    const first = g[top], moved = s.map((one, k) => one * (g[k] - first));
    const othersOfS = sumOfOthers(s), othersMoved = sumOfOthers(moved), sum = total(s);
    put(g, s.map((one, k) => (othersOfS[k] * moved[k] - one * othersMoved[k]) / sum));
    return loss;
  };

  function sparsemaxMatching(z, t, g) {
    const { below, tau } = sparsemax(z), terms = sparsemaxTerms(z);
    put(g, terms.map((one, k) => errorOf(one, t[k])));
    return total(terms.map((_, k) =>
      0.5 * g[k] * g[k] + times(t[k], Math.max(tau - below[k], 0))));
  }

  const KERNELS = {
    linear: {
      se: linearSe, matching: linearSe,
      mae: linearErrors(Math.abs, Math.sign), hinge: hinge(each(linearTerms)),
    },
    clipped_linear: alone(clippedTerms, matched(clippedTerms, (z, d) =>
      times(d, 0.5 * d + (z - clamp(z, 0, 1))))),
    hard_sigmoid: alone(hardSigmoidTerms, matched(hardSigmoidTerms, (z, d) =>
      3 * d * d + times(d, z - clamp(z, -3, 3)))),
    sigmoid: alone(sigmoidTerms, matched(sigmoidTerms, (z, d, t) =>
      times(t, softplus(-z)) + times(1 - t, softplus(z)))),
    softmax: {
      se: softmaxSe, bce: softmaxBce, ce: softmaxCe, matching: softmaxCe, mae: softmaxMae,
      hinge: softmaxHinge, focal: softmaxCosts(focal(2)), gce: softmaxCosts(generalised(0.7)),
      smoothed_ce: softmaxCosts(LOGARITHM, smoothing(0.1)),
    },
    sparsemax: {
      ...Object.fromEntries(Object.entries(LOSSES).map(([name, make]) =>
        [name, projected(make(sparsemaxTerms))])),
      matching: sparsemaxMatching,
    },
  };

  const HEADS = {
    linear: (z) => Array.from(z),
    clipped_linear: (z) => Array.from(z, (one) => clamp(one, 0, 1)),
    hard_sigmoid: (z) => Array.from(z, (one) => (clamp(one, -3, 3) + 3) / 6),
    sigmoid: (z) => Array.from(z, sigma),
    softmax: (z) => softmaxTerms(z).map((one) => one.p),
    sparsemax: (z) => sparsemax(z).y,
  };
  const MIDDLE = { linear: 0.5, clipped_linear: 0.5, hard_sigmoid: 0, sigmoid: 0 };

  function decide(head, z) {
    return z.length === 1 ? Number(z[0] >= MIDDLE[head]) : largest(z);
  }

  // ---- torch's generator of a CPU: Mersenne twister of 32 bits ----
  function twister(seed) {
    const state = new Uint32Array(624);
    state[0] = seed >>> 0;
    for (let n = 1; n < 624; n++) {
      const before = state[n - 1] ^ (state[n - 1] >>> 30);
      state[n] = (Math.imul(before, 1812433253) + n) >>> 0;
    }
    let at = 624;
    const next32 = () => {
      if (at === 624) {
        for (let n = 0; n < 624; n++) {
          const mixed = (state[n] & 0x80000000) | (state[(n + 1) % 624] & 0x7fffffff);
          state[n] = state[(n + 397) % 624] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
        }
        at = 0;
      }
      let y = state[at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      return (y ^ (y >>> 18)) >>> 0;
    };
    const uniform = () => { // 53 bits of two draws, the higher ones first
      const high = next32() & 0x1fffff, low = next32();
      return (high * 4294967296 + low) / 9007199254740992;
    };
    return { uniform };
  }

  function drawNormal(random, count, deviation) {
    const values = new Float64Array(count);
    if (count < 16) { // pairs, the second one of a call before
      for (let n = 0; n < count; n += 2) {
        const turn = random.uniform(), spread = random.uniform();
        const radius = Math.sqrt(-2 * Math.log1p(-spread)), angle = 2 * Math.PI * turn;
        values[n] = radius * Math.cos(angle) * deviation;
        if (n + 1 < count) values[n + 1] = radius * Math.sin(angle) * deviation;
      }
      return values;
    }
    for (let n = 0; n < count; n++) values[n] = random.uniform();
    const turned = (start) => {
      for (let n = start; n < start + 8; n++) {
        const radius = Math.sqrt(-2 * Math.log(1 - values[n]));
        const angle = 2 * Math.PI * values[n + 8];
        values[n] = radius * Math.cos(angle) * deviation;
        values[n + 8] = radius * Math.sin(angle) * deviation;
      }
    };
    for (let start = 0; start + 16 <= count; start += 16) turned(start);
    if (count % 16) {
      for (let n = count - 16; n < count; n++) values[n] = random.uniform();
      turned(count - 16);
    }
    return values;
  }

  // init: torch, glorot, he, lecun, normal, zeros; of a weight (out, in) or a bias (out)
  function drawn(init, seed, count, fanIn, fanOut, isWeight) {
    const random = twister(seed);
    const uniform = (bound) => Float64Array.from({ length: count }, () =>
      random.uniform() * (bound - -bound) - bound);
    if (init === "torch") return uniform(1 / Math.sqrt(fanIn));
    const isZero = init === "zeros" || (!isWeight && (init === "glorot" || init === "he"));
    if (isZero) return new Float64Array(count);
    if (init === "glorot") return uniform(Math.sqrt(6 / (fanIn + fanOut)));
    const deviation = { he: Math.sqrt(2 / fanIn), lecun: Math.sqrt(1 / fanIn), normal: 1 }[init];
    return drawNormal(random, count, isWeight ? deviation : 1);
  }

  // ---- the order of an epoch: six rounds of multiplication and xorshift ----
  const GOLDEN = 0x9e3779b97f4a7c15n, ALL = 0xffffffffffffffffn;

  function mix64(x) {
    x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & ALL;
    x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & ALL;
    return x ^ (x >> 31n);
  }

  function orderOf(key, epoch, count) {
    if (count === 1) return Uint32Array.of(0);
    const bits = Math.max(8, count > 1 ? 32 - Math.clz32(count - 1) : 0);
    const mask = 2 ** bits - 1, half = (bits + 1) >> 1;
    const state = mix64((key + GOLDEN * BigInt(epoch + 1)) & ALL);
    const rounds = [1n, 2n, 3n, 4n, 5n, 6n].map((step) => {
      const word = mix64((state + step * GOLDEN) & ALL);
      return [Number(BigInt.asUintN(32, word | 1n)), Number(word >> 32n)];
    });
    const order = new Uint32Array(count);
    let at = 0;
    for (let n = 0; n <= mask; n++) {
      let x = n;
      for (const [factor, summand] of rounds) {
        x = ((Math.imul(x, factor) + summand) & mask) >>> 0;
        x ^= x >>> half;
      }
      if (x < count) order[at++] = x;
    }
    return order;
  }

  // ---- networks ----
  const ACTIVATIONS = {
    relu: { of: (x) => Math.max(x, 0), slope: (a) => (a > 0 ? 1 : 0) },
    tanh: { of: Math.tanh, slope: (a) => 1 - a * a },
    sigmoid: { of: (x) => 1 / (1 + Math.exp(-x)), slope: (a) => a * (1 - a) },
  };

  class Training {
    // setting: head, loss, widths, activation, init, scale, weight, bias (numbers, or null), lr,
    //   momentum, batch, seed. data: features (N·D), targets (N·K), count, columns, outputs.
    // keys: of the seed, by name: "order" (BigInt), "output.weight", … (numbers)
    constructor(setting, data, keys) {
      this.setting = setting;
      this.data = data;
      this.keys = keys;
      this.kernel = KERNELS[setting.head][setting.loss];
      this.activation = ACTIVATIONS[setting.activation];
      this.reset();
    }

    reset() {
      const { setting, data } = this;
      this.step = 0;
      this.order = null;
      this.layers = [];
      const sizes = [data.columns, ...setting.widths, data.outputs];
      for (let n = 0; n + 1 < sizes.length; n++) {
        const [fanIn, fanOut] = [sizes[n], sizes[n + 1]];
        const name = n + 2 === sizes.length ? "output" : `hidden${n + 1}`;
        const part = (kind, count, isWeight) =>
          drawn(setting.init, this.keys[`${name}.${kind}`], count, fanIn, fanOut, isWeight);
        const weight = part("weight", fanIn * fanOut, true).map((w) => w * setting.scale);
        const bias = part("bias", fanOut, false);
        if (!setting.widths.length && setting.weight !== null) weight.fill(setting.weight);
        if (!setting.widths.length && setting.bias !== null) bias.fill(setting.bias);
        this.layers.push({
          name, fanIn, fanOut, weight, bias,
          ofWeight: new Float64Array(fanIn * fanOut), ofBias: new Float64Array(fanOut),
          weightPace: new Float64Array(fanIn * fanOut), biasPace: new Float64Array(fanOut),
          out: new Float64Array(fanOut), back: new Float64Array(fanOut),
        });
      }
      this.gradient = new Float64Array(data.outputs);
      this.target = new Float64Array(data.outputs);
      this.input = new Float64Array(data.columns);
    }

    // logits of an input, an array of D numbers; valid until the next call
    forward(input) {
      let before = input;
      this.layers.forEach((layer, n) => {
        const { weight, bias, fanIn, fanOut, out } = layer;
        const isLast = n + 1 === this.layers.length;
        for (let j = 0; j < fanOut; j++) {
          let sum = 0;
          for (let i = 0; i < fanIn; i++) sum += weight[j * fanIn + i] * before[i];
          sum += bias[j];
          out[j] = isLast ? sum : this.activation.of(sum);
        }
        before = out;
      });
      return before;
    }

    load(example) {
      const { data, input, target } = this, { columns, outputs } = data;
      for (let i = 0; i < columns; i++) input[i] = data.features[example * columns + i];
      for (let k = 0; k < outputs; k++) target[k] = data.targets[example * outputs + k];
    }

    // of an example: logits z, loss, dL/dz (both valid until the next call), its size, and whether
    // the class is right
    judge(example) {
      this.load(example);
      const z = this.forward(this.input);
      const loss = this.kernel(z, this.target, this.gradient);
      let square = 0;
      for (const one of this.gradient) square += one * one;
      const right = decide(this.setting.head, z) === classOf(this.target);
      return { z, loss, gradient: this.gradient, size: Math.sqrt(square), right };
    }

    accumulate(example) {
      this.load(example);
      const loss = this.kernel(this.forward(this.input), this.target, this.gradient);
      let slopes = this.gradient;
      for (let n = this.layers.length - 1; n >= 0; n--) {
        const layer = this.layers[n], { fanIn, fanOut, weight, ofWeight, ofBias } = layer;
        const before = n ? this.layers[n - 1].out : this.input;
        for (let j = 0; j < fanOut; j++) {
          ofBias[j] += slopes[j];
          for (let i = 0; i < fanIn; i++) ofWeight[j * fanIn + i] += slopes[j] * before[i];
        }
        if (!n) break;
        const back = this.layers[n - 1].back;
        for (let i = 0; i < fanIn; i++) {
          let sum = 0;
          for (let j = 0; j < fanOut; j++) sum += weight[j * fanIn + i] * slopes[j];
          back[i] = sum * this.activation.slope(before[i]);
        }
        slopes = back;
      }
      return loss;
    }

    // one update; returns the mean loss of its batch, before it
    update() {
      const { setting, data } = this, size = Math.min(setting.batch, data.count);
      const perEpoch = Math.ceil(data.count / size);
      const epoch = Math.floor(this.step / perEpoch), start = (this.step % perEpoch) * size;
      if (!start || !this.order) this.order = orderOf(this.keys.order, epoch, data.count);
      const end = Math.min(start + size, data.count);
      let loss = 0;
      for (const layer of this.layers) {
        layer.ofWeight.fill(0);
        layer.ofBias.fill(0);
      }
      for (let n = start; n < end; n++) loss += this.accumulate(this.order[n]);
      loss /= end - start;
      this.diverged = !Number.isFinite(loss);
      if (this.diverged) return loss;
      for (const layer of this.layers) {
        this.move(layer.weight, layer.ofWeight, layer.weightPace, end - start);
        this.move(layer.bias, layer.ofBias, layer.biasPace, end - start);
      }
      this.step++;
      return loss;
    }

    move(parameters, sums, pace, size) {
      const { lr, momentum } = this.setting;
      for (let n = 0; n < parameters.length; n++) {
        pace[n] = momentum * pace[n] + sums[n] / size;
        parameters[n] -= lr * pace[n];
      }
    }

    // means over all training examples, and of each one z and dL/dz (N·K), loss, ‖dL/dz‖, right
    evaluate(threshold) {
      const { count, outputs } = this.data;
      const found = {
        loss: 0, accuracy: 0, stuck: 0, wrong: 0, right: 0,
        z: new Float64Array(count * outputs), gradients: new Float64Array(count * outputs),
        losses: new Float64Array(count), sizes: new Float64Array(count),
        rights: new Uint8Array(count),
      };
      let rights = 0;
      for (let n = 0; n < count; n++) {
        const { z, loss, gradient, size, right } = this.judge(n);
        found.z.set(z, n * outputs);
        found.gradients.set(gradient, n * outputs);
        found.losses[n] = loss;
        found.sizes[n] = size;
        found.rights[n] = right;
        found.loss += loss / count;
        found[right ? "right" : "wrong"] += size;
        found.stuck += !right && size < threshold ? 1 / count : 0;
        rights += right;
      }
      found.accuracy = rights / count;
      found.right = rights ? found.right / rights : NaN;
      found.wrong = rights < count ? found.wrong / (count - rights) : NaN;
      return found;
    }
  }

  function classOf(t) {
    return t.length === 1 ? t[0] : largest(t);
  }

  return { KERNELS, HEADS, MIDDLE, Training, orderOf, drawn };
})();

if (typeof module !== "undefined") module.exports = engine;
