"use strict";
// The page of a run: its charts, its table, and a trial opened to its curves.

const run = JSON.parse(document.getElementById("run").textContent);
const [metric, direction] = run.objectives[0] ?? ["value", "maximize"];
const column = (name) => run.columns.indexOf(name);
const value = run.values[0];
const title = (name) => name.replace(/^(params|values)_/, "");
const byNumber = new Map();
const xOf = (examples) => (run.perEpoch ? examples / run.perEpoch : examples);
// A trial's curve: reported at so many examples, which on the axis is `at`.
const curves = new Map(Object.entries(run.curves).map(([name, trials]) => [
  name, new Map(Object.entries(trials).map(([trial, [xs, ys]]) => [Number(trial), { trial: Number(trial), xs, ys, at: xs.map(xOf) }])),
]));
const parameters = run.columns.filter((name) => name.startsWith("params_"));
const xName = run.perEpoch ? "epoch" : "examples";
let passing = null; // the trials that pass the table's filters; null for all
let best = [];

const colours = () => ({
  COMPLETE: css("--complete"), PRUNED: css("--pruned"), FAIL: css("--fail"), RUNNING: css("--running"),
});

function cell(name, found) {
  if (found === null || found === undefined) return "";
  return name === "duration" ? `${Number(found.toPrecision(3))} s` : short(found);
}

function told(number, more = []) {
  const row = byNumber.get(number);
  const named = (name) => `${title(name)} ${cell(name, row[column(name)])}`;
  const had = parameters.filter((name) => row[column(name)] !== null).slice(0, 8);
  return [`trial ${number}, ${row[column("state")].toLowerCase()}`, ...more, ...had.map(named), "click to open"];
}

/** What colours mean, above a chart: pairs of a colour's variable and its word. */
function legend(id, entries) {
  const host = document.querySelector(`#${id} .legend`);
  host.replaceChildren(...entries.map(([variable, word]) => {
    const each = Object.assign(document.createElement("span"), { textContent: word });
    each.style.setProperty("--mark", `var(${variable})`);
    return each;
  }));
}

const shownRows = () => (passing ? run.rows.filter((row) => passing.has(row[0])) : run.rows);

/** The rank of each trial, the best first: the server's order, or by the one objective. */
function ranked() {
  if (run.objectives.length !== 1) return run.order;
  const sign = direction === "minimize" ? 1 : -1, at = column(value), state = column("state"), feasible = column("feasible");
  const counts = (row) => row[state] === "COMPLETE" && typeof row[at] === "number" && !(feasible >= 0 && row[feasible] === false);
  const good = run.rows.filter(counts).sort((a, b) => sign * (a[at] - b[at]) || a[0] - b[0]).map((row) => row[0]);
  const rest = new Set(good);
  return [...good, ...run.rows.map((row) => row[0]).filter((number) => !rest.has(number)).sort((a, b) => a - b)];
}

function collect() {
  byNumber.clear();
  for (const row of run.rows) byNumber.set(row[0], row);
  const order = ranked();
  const at = column(value), state = column("state");
  best = order.filter((number) => byNumber.get(number)[state] === "COMPLETE" && byNumber.get(number)[at] !== null).slice(0, 5);
  return order;
}

// History

function historyOf(rows) {
  const at = column(value), state = column("state");
  return rows.filter((row) => typeof row[at] === "number").map((row) => ({ trial: row[0], x: row[0], y: row[at], state: row[state] }));
}

let historyItems = [], bestLine = [], historyBounds = null;
function refreshHistory() {
  historyItems = historyOf(shownRows());
  const there = new Set(historyItems.map((each) => each.state));
  legend("history", [
    ...["COMPLETE", "PRUNED", "FAIL", "RUNNING"].filter((each) => there.has(each)).map((each) => [`--${each.toLowerCase()}`, each.toLowerCase()]),
    ["--text", "best so far"],
  ]);
  const feasible = column("feasible");
  const counts = (each) => each.state === "COMPLETE" && !(feasible >= 0 && byNumber.get(each.trial)[feasible] === false);
  bestLine = [];
  let so = null;
  for (const each of historyOf(run.rows).filter(counts).sort((a, b) => a.x - b.x)) {
    if (so === null || (direction === "minimize" ? each.y < so : each.y > so)) {
      if (so !== null) bestLine.push([each.x, so]);
      bestLine.push([each.x, so = each.y]);
    }
  }
  const numbers = run.rows.map((row) => row[0]), last = Math.max(...numbers);
  if (bestLine.length) bestLine.push([last, so]);
  const complete = historyItems.filter((each) => each.state === "COMPLETE").map((each) => each.y);
  historyBounds = [bounds(Math.min(...numbers), last), near(complete, direction)];
}

const histories = {
  xLabel: "trial", yLabel: metric, open: (number) => openTrial(number),
  range: () => historyBounds,
  paint(context, x, y, ratio) {
    dots(historyItems, ratio, context, x, y, colours());
    if (bestLine.length) {
      lines([{ xs: bestLine.map(([at]) => at), ys: bestLine.map(([, at]) => at) }], context, x, y, css("--text"), 1.5 * ratio);
    }
  },
  hover(left, top, x, y) {
    const found = nearest(historyItems, left, top, x, y);
    return found && { ...found, lines: told(found.trial, [`${metric} ${short(found.y)}`]) };
  },
};

// Learning curves

const COLOURS = ["--first", "--second", "--third", "--fourth", "--fifth"];
const MOST_LINES = 1000; // more grey lines are one grey area, and take long to paint
let curveItems = [], greyLines = [], bestCurves = [], curveBounds = null;
function refreshCurves() {
  const all = [...(curves.get(metric)?.values() ?? [])];
  curveItems = (passing ? all.filter((each) => passing.has(each.trial)) : all)
    .map(({ trial, at, ys }) => ({ trial, xs: at, ys }));
  const first = new Set(best), others = curveItems.filter((each) => !first.has(each.trial));
  const step = Math.max(1, Math.ceil(others.length / MOST_LINES));
  greyLines = others.filter((each, at) => at % step === 0);
  bestCurves = curveItems.filter((each) => first.has(each.trial));
  legend("curves", [
    ...best.map((number, at) => [COLOURS[at], `trial ${number}`]),
    ["--running", step > 1 ? `${greyLines.length} of ${others.length} other trials; the pointer finds all` : "other trials"],
  ]);
  let most = 0, least = Infinity;
  for (const { xs } of curveItems) {
    most = Math.max(most, xs[xs.length - 1] ?? 0);
    least = Math.min(least, xs[0] ?? 0);
  }
  curveBounds = [bounds(Math.min(least, most), most), near([...greyLines, ...bestCurves].flatMap((each) => each.ys), direction)];
}

const learning = {
  xLabel: xName, yLabel: metric, open: (number) => openTrial(number),
  range: () => curveBounds,
  paint(context, x, y, ratio) {
    context.globalAlpha = clamp(60 / Math.max(greyLines.length, 1), 0.15, 0.6);
    lines(greyLines, context, x, y, css("--running"), ratio);
    context.globalAlpha = 1;
    for (const each of bestCurves) lines([each], context, x, y, css(COLOURS[best.indexOf(each.trial)]), 2 * ratio);
  },
  hover(left, top, x, y) {
    const found = nearestLine(curveItems, left, top, x, y);
    return found && {
      ...found,
      lines: told(found.trial, [`${metric} ${short(found.y)} at ${xName} ${short(found.x)}`]),
      mark: (context, toX, toY) => found.xs.forEach((each, at) => (
        at ? context.lineTo(toX(each), toY(found.ys[at])) : context.moveTo(toX(each), toY(found.ys[at])))),
    };
  },
};

// The value against one hyperparameter

const chooser = document.getElementById("parameter");
let slice = null;
function sliceOf(name) {
  const at = column(name), y = column(value), state = column("state");
  const rows = shownRows().filter((row) => row[state] === "COMPLETE" && typeof row[y] === "number" && row[at] !== null);
  const words = rows.some((row) => typeof row[at] !== "number");
  const ticks = words ? [...new Set(rows.map((row) => String(row[at])))].sort() : null;
  const log = !words && run.log.includes(name) && rows.every((row) => row[at] > 0);
  const place = (row) => (ticks ? ticks.indexOf(String(row[at])) + (((row[0] * 0.618) % 1) - 0.5) * 0.3 : row[at]);
  const items = rows.map((row) => ({ trial: row[0], x: place(row), y: row[y], state: "COMPLETE" }));
  let low = Infinity, high = -Infinity;
  for (const each of items) { low = Math.min(low, each.x); high = Math.max(high, each.x); }
  return { items, ticks, log, xs: ticks ? [-0.5, ticks.length - 0.5] : bounds(low, high, log) };
}

function drawSlice() {
  const host = document.querySelector("#slices .chart");
  if (!chooser?.value) return;
  slice = sliceOf(chooser.value);
  charts.slices?.destroy();
  charts.slices = new Chart(host, {
    xLabel: title(chooser.value), yLabel: metric, xLog: slice.log, xTicks: slice.ticks, open: (number) => openTrial(number),
    range: () => [slice.xs, near(slice.items.map((each) => each.y), direction)],
    paint: (context, x, y, ratio) => dots(slice.items, ratio, context, x, y, colours()),
    hover(left, top, x, y) {
      const found = nearest(slice.items, left, top, x, y);
      return found && { ...found, lines: told(found.trial, [`${metric} ${short(found.y)}`]) };
    },
  });
}

// A trial, opened

const dialog = document.getElementById("trial");
let opened = [];
async function openTrial(number) {
  const row = byNumber.get(number);
  dialog.querySelector("h2").textContent = `Trial ${number}`;
  const facts = dialog.querySelector("dl");
  facts.replaceChildren(...run.columns.flatMap((name, at) => {
    if (!at || row[at] === null) return [];
    const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    return [make("dt", title(name)), make("dd", cell(name, row[at]))];
  }));
  if (!dialog.open) dialog.showModal();
  const found = (await live?.curvesOf(number)) ?? ownCurves(number);
  if (dialog.querySelector("h2").textContent !== `Trial ${number}`) return; // another was opened meanwhile
  const host = dialog.querySelector(".charts");
  for (const each of opened) each.destroy();
  host.replaceChildren();
  opened = Object.entries(found).map(([name, [examples, ys]]) => {
    const holder = document.createElement("div");
    host.append(holder);
    const item = { trial: number, xs: examples.map(xOf), ys };
    return new Chart(holder, {
      xLabel: xName, yLabel: name, height: 210,
      range: () => [bounds(Math.min(...item.xs), Math.max(...item.xs)), bounds(Math.min(...ys), Math.max(...ys))],
      paint: (context, x, y, ratio) => {
        lines([item], context, x, y, css("--complete"), 2 * ratio);
        dots(item.xs.map((each, at) => ({ x: each, y: ys[at], state: "COMPLETE" })), ratio, context, x, y, colours());
      },
      hover(left, top, x, y) {
        const at = nearestLine([item], left, top, x, y, 1e4);
        return at && { ...at, lines: [`${name} ${short(at.y)}`, `${xName} ${short(at.x)}`] };
      },
    });
  });
  if (!opened.length) host.textContent = "No report of it is held in this page.";
}

function ownCurves(number) {
  const found = {};
  for (const [name, trials] of curves) {
    const each = trials.get(number);
    if (each) found[name] = [each.xs, each.ys];
  }
  return found;
}
dialog.querySelector("button").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// All together

const charts = {};
let table = null;

function filtered(numbers, shown, all) {
  passing = numbers;
  document.getElementById("count").textContent = numbers ? `${shown} of ${all} trials` : `${all} trials, the best first`;
  redraw();
}

const STEPS = [
  () => { refreshHistory(); charts.history.update(); },
  () => { refreshCurves(); charts.curves.update(); },
  drawSlice,
];
let waiting = 0; // while charts are to be drawn
let drawing = 0; // how long that took the last time, in milliseconds
/** Draw the charts again, one after another, once the person pauses: typing in a filter waits for none of them. */
function redraw() {
  clearTimeout(waiting);
  let took = 0;
  const step = (at) => {
    const began = performance.now();
    STEPS[at]();
    took += performance.now() - began;
    if (at + 1 < STEPS.length) waiting = setTimeout(step, 0, at + 1);
    else [waiting, drawing] = [0, took];
  };
  waiting = setTimeout(step, 120, 0);
}

function fill() {
  const order = collect();
  table.setRows(order.map((number) => byNumber.get(number)));
}

function begin() {
  document.documentElement.classList.add("script");
  for (const name of parameters) chooser?.append(new Option(title(name), name));
  chooser?.addEventListener("change", drawSlice);
  table = new Table(document.getElementById("table"), { columns: run.columns, title, cell, open: openTrial, onFilter: filtered });
  collect();
  refreshHistory();
  refreshCurves();
  charts.history = new Chart(document.querySelector("#history .chart"), histories);
  charts.curves = new Chart(document.querySelector("#curves .chart"), learning);
  fill();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const each of [...Object.values(charts), ...opened]) each.plot.redraw();
  });
  live?.begin();
}
