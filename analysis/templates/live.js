"use strict";
// A page that is served while its study runs: it asks for what is new, and changes that alone.

const live = {
  every: 1500,
  version: run.version,

  begin() { setTimeout(() => this.ask(), this.every); },

  async ask() {
    try {
      const answer = await fetch(`since?version=${this.version}&columns=${encodeURIComponent(JSON.stringify(run.columns))}`);
      if (!answer.ok) throw new Error(String(answer.status));
      this.take(await answer.json());
    } catch {
      this.say("sweep watch has ended, or cannot be reached: what is shown is the last that came");
      this.every = Math.min(60000, this.every * 2);
    }
    setTimeout(() => this.ask(), this.every);
  },

  take(news) {
    this.every = 1500;
    if (news.again) { location.reload(); return; }
    this.version = news.version;
    this.say(news.summary);
    if (!news.rows.length && !news.points.length) return;
    const at = new Map(run.rows.map((row, index) => [row[0], index]));
    for (const row of news.rows) {
      if (at.has(row[0])) run.rows[at.get(row[0])] = row;
      else { at.set(row[0], run.rows.length); run.rows.push(row); }
    }
    if (!curves.has(metric)) curves.set(metric, new Map());
    const mine = curves.get(metric);
    for (const [trial, examples, mean] of news.points) {
      const each = mine.get(trial) ?? mine.set(trial, { trial, xs: [], ys: [] }).get(trial);
      let place = each.xs.length;
      while (place && each.xs[place - 1] >= examples) place--;
      each.xs.splice(place, each.xs[place] === examples ? 1 : 0, examples);
      each.ys.splice(place, each.ys.length > each.xs.length - 1 ? 1 : 0, mean);
    }
    fill();
  },

  say(text) {
    const line = document.getElementById("summary");
    if (line.textContent !== text) line.textContent = text;
  },

  async curvesOf(number) {
    try {
      const answer = await fetch(`trial?number=${number}`);
      return answer.ok ? await answer.json() : null;
    } catch { return null; }
  },
};
