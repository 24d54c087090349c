"use strict";
// The page of a folder: its runs in a table that sorts, filters, and leads to each run's report.

const folder = JSON.parse(document.getElementById("runs-data").textContent);

/** A run's name, leading to its report where there is one. */
function nameOf(run, text) {
  const link = folder.links[run];
  if (!link) return Object.assign(document.createElement("span"), { textContent: text, title: "It has no report yet" });
  return Object.assign(document.createElement("a"), { textContent: text, href: link, title: `Open the report of ${text}` });
}

function openRun(run) {
  if (folder.links[run] && !getSelection().toString()) location.href = folder.links[run];
}

function counted(names, shown, all) {
  document.getElementById("count").textContent = names ? `${shown} of ${all} runs` : `${all} runs`;
}

function begin() {
  document.documentElement.classList.add("script");
  const table = new Table(document.getElementById("table"), {
    id: "runs", columns: folder.columns, title: (name) => name, cell: (name, found) => short(found), open: openRun,
    onFilter: counted, first: nameOf,
  });
  table.setRows(folder.rows);
}
