"use strict";
// Charts on uPlot: it draws axes, zooms and follows the pointer; dots and lines are painted here, thousands at once.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const DOUBLE = 250; // milliseconds in which a second click may follow: it sees all again, and opens nothing

/** Places for ticks of a log scale: powers of ten, with 2 and 5 between them where those are few. */
function decades(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const step = Math.max(1, Math.ceil((last - first) / 8));
  const between = last - first > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = first; power <= last; power += step) {
    for (const each of between) found.push(Number(`${each}e${power}`));
  }
  return found.filter((each) => each >= low && each <= high);
}

/** Bounds of numbers with a margin; of a log scale as factors. */
function bounds(low, high, log) {
  if (!(low <= high)) return log ? [1, 10] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** 0.03, high * (high / low) ** 0.03];
  const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - margin, high + margin];
}

/** Bounds that leave far-off bad values out: what is near the best is what is to be seen. */
function near(values, direction) {
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  if (!sorted.length) return [0, 1];
  const at = (fraction) => sorted[Math.round(fraction * (sorted.length - 1))];
  const least = sorted[0], most = sorted[sorted.length - 1];
  if (sorted.length >= 8) {
    const [low, high] = direction === "minimize" ? [least, at(0.75)] : [at(0.25), most];
    if (direction === "minimize" && most > high + 3 * (high - low)) return bounds(low, high);
    if (direction === "maximize" && least < low - 3 * (high - low)) return bounds(low, high);
  }
  return bounds(least, most);
}

/**
 * A chart in `host`. `options.range()` gives [[xLow, xHigh], [yLow, yHigh]]; `paint(context, x, y, ratio)` draws with
 * functions from values to pixels; `hover(left, top, x, y)` gives {trial, left, top, lines, mark} near the pointer, or null.
 */
class Chart {
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.over = document.createElement("canvas");
    this.build();
    this.watch = new ResizeObserver(() => {
      const width = this.width();
      if (width && width !== this.plot.width) this.plot.setSize({ width, height: this.height() });
    });
    this.watch.observe(host);
  }

  /** Remove it from the page. */
  destroy() {
    this.watch.disconnect();
    this.plot.destroy();
  }

  width() { return Math.floor(this.host.clientWidth); }
  height() { return this.options.height ?? clamp(Math.round(this.width() * 0.42), 220, 380); }

  build() {
    const { options } = this;
    const axis = (label, more) => ({
      label, labelSize: 18, size: 50, font: "12px system-ui", labelFont: "12px system-ui",
      stroke: () => css("--soft"), grid: { stroke: () => css("--grid"), width: 1 },
      ticks: { stroke: () => css("--grid"), width: 1 }, ...more,
    });
    const scale = (index, log) => ({
      time: false, distr: log ? 3 : 1,
      range: () => options.range()[index],
    });
    const { xTicks } = options;
    const xAxis = axis(options.xLabel, { size: 34, space: 60 });
    if (xTicks) Object.assign(xAxis, { splits: () => xTicks.map((_, at) => at), values: () => xTicks });
    else if (options.xLog) {
      xAxis.splits = (plot, at, low, high) => decades(low, high);
      xAxis.filter = (plot, splits) => splits; // every tick has its label
      xAxis.values = (plot, splits) => splits.map(short);
    } else xAxis.values = (_, splits) => splits.map((each) => (each === null ? "" : short(each)));
    const [[low, high]] = options.range();
    this.plot = new uPlot({
      width: this.width() || 600, height: this.height(),
      scales: { x: scale(0, options.xLog), y: { ...scale(1), auto: true } },
      axes: [xAxis, axis(options.yLabel, { size: 64, values: (_, splits) => splits.map((each) => (each === null ? "" : short(each))) })],
      series: [{}, { paths: () => null, points: { show: false } }],
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: true, y: true, uni: 20, dist: 6 } },
      hooks: { draw: [() => this.paint()], setCursor: [() => this.follow()], setSize: [() => this.forget()] },
    }, [[low, high], [0, 1]], this.host);
    this.bounds = options.range();
    this.over.className = "mark";
    this.plot.over.append(this.over, this.tip);
    let pressed = null;
    this.plot.over.addEventListener("mousedown", (event) => { pressed = [event.clientX, event.clientY]; });
    this.plot.over.addEventListener("click", (event) => {
      const moved = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 5;
      if (moved || !this.found || event.detail > 1) return;
      clearTimeout(this.opens);
      this.opens = setTimeout(options.open ?? (() => {}), this.isZoomed() ? DOUBLE : 0, this.found.trial);
    });
    this.plot.over.addEventListener("dblclick", () => clearTimeout(this.opens));
  }

  /** From values to pixels of the canvas, or with `ratio` 1 of the page, within the plot. */
  map(key, ratio, offset) {
    const scale = this.plot.scales[key], flat = key === "x";
    const log = scale.distr === 3, turn = log ? Math.log10 : (value) => value;
    const low = turn(scale.min), span = turn(scale.max) - low || 1;
    const size = (flat ? this.plot.bbox.width : this.plot.bbox.height) / devicePixelRatio * ratio;
    return flat
      ? (value) => offset + ((turn(value) - low) / span) * size
      : (value) => offset + size - ((turn(value) - low) / span) * size;
  }

  paint() {
    const { ctx, bbox } = this.plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    this.options.paint(ctx, this.map("x", devicePixelRatio, bbox.left), this.map("y", devicePixelRatio, bbox.top), devicePixelRatio);
    ctx.restore();
  }

  follow() {
    const { left, top } = this.plot.cursor;
    const x = this.map("x", 1, 0), y = this.map("y", 1, 0);
    const found = left >= 0 && top >= 0 ? this.options.hover(left, top, x, y) : null;
    this.mark(found, x, y);
    this.found = found;
    this.tip.hidden = !found;
    this.plot.over.style.cursor = found ? "pointer" : "crosshair";
    if (!found) return;
    this.tip.replaceChildren(...found.lines.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    const { clientWidth: width, clientHeight: height } = this.plot.over;
    this.tip.style.left = `${clamp(found.left + 12, 0, Math.max(0, width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${clamp(found.top - this.tip.offsetHeight - 8, 0, Math.max(0, height - this.tip.offsetHeight))}px`;
  }

  /** Nothing is pointed at: what marks it has the chart's size of now. */
  forget() {
    if (!this.plot) return;
    this.tip.hidden = true;
    this.mark(null);
  }

  mark(found, x, y) {
    const { clientWidth: width, clientHeight: height } = this.plot.over, ratio = devicePixelRatio;
    if (this.over.width !== width * ratio || this.over.height !== height * ratio) {
      Object.assign(this.over, { width: width * ratio, height: height * ratio });
      Object.assign(this.over.style, { width: `${width}px`, height: `${height}px` });
    }
    const context = this.over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!found) return;
    context.strokeStyle = css("--text");
    context.lineWidth = 2;
    context.beginPath();
    found.mark?.(context, x, y);
    context.moveTo(found.left + 5, found.top);
    context.arc(found.left, found.top, 5, 0, 7);
    context.stroke();
  }

  isZoomed() {
    const { x, y } = this.plot.scales, [[xLow, xHigh], [yLow, yHigh]] = this.bounds;
    return x.min !== xLow || x.max !== xHigh || y.min !== yLow || y.max !== yHigh;
  }

  /** Draw again: at the bounds of now, or where it is zoomed at those of the zoom. */
  update() {
    if (this.isZoomed()) { this.plot.redraw(); return; }
    this.bounds = this.options.range();
    this.plot.setData([this.bounds[0], [0, 1]]);
  }
}

/** Dots {x, y, trial, state}: the nearest is found under the pointer. */
function dots(items, ratio, context, x, y, colours) {
  const radius = (items.length > 1500 ? 2 : 3.2) * ratio;
  const groups = new Map();
  for (const each of items) (groups.get(each.state) ?? groups.set(each.state, []).get(each.state)).push(each);
  context.globalAlpha = clamp(0.15 + 250 / Math.max(items.length, 1), 0.35, 0.9);
  for (const [state, group] of groups) {
    context.fillStyle = colours[state] ?? css("--soft");
    context.beginPath();
    for (const each of group) {
      const left = x(each.x), top = y(each.y);
      context.moveTo(left + radius, top);
      context.arc(left, top, radius, 0, 7);
    }
    context.fill();
  }
  context.globalAlpha = 1;
}

function nearest(items, left, top, x, y, reach = 14) {
  let best = null, least = reach * reach;
  for (const each of items) {
    const distance = (x(each.x) - left) ** 2 + (y(each.y) - top) ** 2;
    if (distance < least) { least = distance; best = each; }
  }
  return best && { ...best, left: x(best.x), top: y(best.y) };
}

/** Lines {trial, xs, ys}, painted in one stroke; the nearest is found at the pointer's place along x. */
function lines(items, context, x, y, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const { xs, ys } of items) {
    for (let at = 0; at < xs.length; at++) {
      if (at) context.lineTo(x(xs[at]), y(ys[at]));
      else context.moveTo(x(xs[at]), y(ys[at]));
    }
    if (xs.length === 1) context.lineTo(x(xs[0]) + 1, y(ys[0]));
  }
  context.stroke();
}

function nearestLine(items, left, top, x, y, reach = 16) {
  let best = null, least = reach;
  for (const item of items) {
    const { xs, ys } = item;
    let low = 0, high = xs.length - 1;
    if (high < 0 || x(xs[high]) < left - reach || x(xs[0]) > left + reach) continue;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (x(xs[middle]) <= left) low = middle; else high = middle;
    }
    const from = x(xs[low]), to = x(xs[high]);
    const share = to > from ? clamp((left - from) / (to - from), 0, 1) : 0;
    const height = y(ys[low]) + share * (y(ys[high]) - y(ys[low]));
    const distance = Math.abs(height - top);
    if (distance < least) {
      least = distance;
      const at = share < 0.5 ? low : high;
      best = { ...item, x: xs[at], y: ys[at], left: x(xs[at]), top: y(ys[at]) };
    }
  }
  return best;
}
