"use strict";
// A page that is served while its study runs: it asks for what is new, which is answered once there is
// something, and changes that alone.

const live = {
  wait: 10, // seconds that an answer may take where nothing is new
  gap: 200, // milliseconds from one answer to the next question
  version: run.version,

  begin() { this.next(this.gap); },

  /** Ask again, once all that came is drawn. */
  next(delay) { setTimeout(() => (waiting ? this.next(50) : this.ask()), delay); },

  async ask() {
    try {
      const answer = await fetch(`since?version=${this.version}&wait=${this.wait}&columns=${encodeURIComponent(JSON.stringify(run.columns))}`);
      if (!answer.ok) throw new Error(String(answer.status));
      this.take(await answer.json());
      this.gap = Math.max(200, 4 * drawing); // a large study leaves the person most of the time
    } catch {
      this.say("sweep watch has ended, or cannot be reached: what is shown is the last that came");
      this.gap = Math.min(60000, this.gap * 2);
    }
    this.next(this.gap);
  },

  take(news) {
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
      const each = mine.get(trial) ?? mine.set(trial, { trial, xs: [], ys: [], at: [] }).get(trial);
      let place = each.xs.length;
      while (place && each.xs[place - 1] >= examples) place--;
      const again = each.xs[place] === examples ? 1 : 0;
      each.xs.splice(place, again, examples);
      each.at.splice(place, again, xOf(examples));
      each.ys.splice(place, again, mean);
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
