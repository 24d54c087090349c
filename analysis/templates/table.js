"use strict";
// A table of trials, or of runs: only the rows in sight are in the page, so that thousands cost no more than a few.

const ROW = 27;
const BEYOND = 12;
const MOST_PRINTED = 2000;

/** What a filter asks of a cell: `> 0.5`, `0.1..0.2`, or a part of its text. */
function wanted(text) {
  const asked = text.trim();
  if (!asked || /^(<=|>=|<|>|=)\s*-?\.?$/.test(asked)) return null; // no number is typed yet
  const range = asked.match(/^(-?[\d.]+(?:e[-+]?\d+)?)\s*\.\.\s*(-?[\d.]+(?:e[-+]?\d+)?)$/i);
  if (range) {
    const low = Number(range[1]), high = Number(range[2]);
    return (value) => typeof value === "number" && value >= low && value <= high;
  }
  const sign = asked.match(/^(<=|>=|<|>|=)\s*(-?[\d.]+(?:e[-+]?\d+)?)$/i);
  if (sign) {
    const bound = Number(sign[2]);
    const compare = {
      "<": (value) => value < bound, ">": (value) => value > bound, "=": (value) => value === bound,
      "<=": (value) => value <= bound, ">=": (value) => value >= bound,
    }[sign[1]];
    return (value) => typeof value === "number" && compare(value);
  }
  const part = asked.toLowerCase();
  return (value, shown) => shown().toLowerCase().includes(part);
}

function openButton(number, text) {
  return Object.assign(document.createElement("button"), { textContent: text, title: `Open trial ${text}` });
}

class Table {
  /**
   * `onFilter(names)` gets the first cells of the rows that pass, or null for all; `open(name)` opens a row;
   * `first(name, text)` makes what stands in its first cell.
   */
  constructor(host, { id = "trials", columns, title, cell, open, onFilter, first = openButton }) {
    Object.assign(this, { host, columns, title, cell, open, onFilter, first });
    this.filters = columns.map(() => null);
    this.rows = [];
    this.sort = null;
    this.table = document.createElement("table");
    this.table.id = id;
    this.table.className = "long";
    this.head();
    this.body = this.table.createTBody();
    host.replaceChildren(this.table);
    host.addEventListener("scroll", () => this.draw());
    addEventListener("resize", () => this.draw());
    addEventListener("beforeprint", () => this.draw(true));
    addEventListener("afterprint", () => this.draw());
  }

  head() {
    const head = this.table.createTHead(), names = head.insertRow(), boxes = head.insertRow();
    boxes.className = "filters";
    this.columns.forEach((name, at) => {
      const cell = document.createElement("th");
      const button = Object.assign(document.createElement("button"), { textContent: this.title(name) });
      button.addEventListener("click", () => this.sortBy(at));
      cell.append(button);
      names.append(cell);
      const box = Object.assign(document.createElement("input"), { type: "text", size: 4, name: `filter-${name}` });
      box.setAttribute("aria-label", `Filter ${this.title(name)}`);
      box.addEventListener("input", () => { this.filters[at] = wanted(box.value); this.apply(); });
      const holder = document.createElement("th");
      holder.append(box);
      boxes.append(holder);
    });
  }

  sortBy(at) {
    const sign = this.sort?.at === at && this.sort.sign > 0 ? -1 : 1;
    this.sort = { at, sign };
    [...this.table.tHead.rows[0].cells].forEach((cell, index) => {
      if (index === at) cell.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    this.arrange();
    this.draw();
  }

  /** Other rows, the best first. */
  setRows(rows) {
    this.rows = rows;
    this.widths();
    [...this.table.tHead.rows[1].cells].forEach((each, at) => {
      const known = rows.find((row) => row[at] !== null);
      each.firstChild.placeholder = typeof known?.[at] === "number" ? "> 0.5" : "text";
    });
    this.apply();
  }

  apply() {
    const active = this.filters.map((filter, at) => [filter, at]).filter(([filter]) => filter);
    this.passing = active.length
      ? this.rows.filter((row) => active.every(([filter, at]) => filter(row[at], () => this.cell(this.columns[at], row[at]))))
      : this.rows;
    this.arrange();
    this.draw();
    this.onFilter(active.length ? new Set(this.passing.map((row) => row[0])) : null, this.passing.length, this.rows.length);
  }

  /** The rows that pass, in the order that is asked for. */
  arrange() {
    this.shown = this.passing;
    if (this.sort) {
      const { at, sign } = this.sort;
      const isText = (value) => typeof value === "string";
      this.shown = [...this.passing].sort((one, other) => {
        const a = one[at], b = other[at];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (isText(a) || isText(b) ? String(a).localeCompare(String(b)) : a - b);
      });
    }
  }

  /** Columns as wide as their longest text, so that scrolling moves none of them. */
  widths() {
    const sample = this.rows.length > 400 ? this.rows.filter((_, at) => at % Math.ceil(this.rows.length / 400) === 0) : this.rows;
    const columns = document.createElement("colgroup");
    for (const [at, name] of this.columns.entries()) {
      const most = Math.max(7, this.title(name).length + 2, ...sample.map((row) => this.cell(name, row[at]).length + 1));
      const column = document.createElement("col");
      column.style.width = `${Math.min(most, 44) * 0.6 + 1.2}em`;
      columns.append(column);
    }
    this.table.querySelector("colgroup")?.remove();
    this.table.prepend(columns);
  }

  draw(all = false) {
    const { shown } = this, height = this.host.clientHeight || 400;
    const first = all ? 0 : clamp(Math.floor(this.host.scrollTop / ROW) - BEYOND, 0, Math.max(0, shown.length - 1));
    const last = all ? Math.min(shown.length, MOST_PRINTED) : Math.min(shown.length, first + Math.ceil(height / ROW) + 2 * BEYOND);
    const spacer = (count) => {
      const row = document.createElement("tr");
      row.className = "spacer";
      row.style.height = `${count * ROW}px`;
      return row;
    };
    const rows = [];
    if (first) rows.push(spacer(first));
    for (let at = first; at < last; at++) rows.push(this.line(shown[at], at));
    if (last < shown.length && !all) rows.push(spacer(shown.length - last));
    this.body.replaceChildren(...rows);
  }

  line(values, at) {
    const row = document.createElement("tr");
    if (at % 2) row.className = "odd";
    values.forEach((value, index) => {
      const cell = row.insertCell(), text = this.cell(this.columns[index], value);
      if (index) cell.textContent = cell.title = text;
      else cell.append(this.first(value, text));
    });
    row.addEventListener("click", () => this.open(values[0]));
    return row;
  }
}
