/* SPDX-License-Identifier: 0BSD */
/* The names of the atlas, and how they are found. Nothing here knows the page that it is on. */
"use strict";

const atlas = (() => {
  /** Where each kind of name has its page, from the root of the site, as tpgen/atlas/paths.py has it. */
  const PAGES = {
    event: (name, system) => `events/${system ? path(system) : "="}/${path(name)}.html`,
    type: (name, keyword) => `types/${path(keyword ? `${keyword} ${name}` : name).replaceAll(" ", "-")}.html`,
    argument: (name) => `arguments/${letter(name)}.html#arg-${name}`,
    field: (name) => `fields/${letter(name)}.html#field-${name}`,
    system: (name) => `systems/${path(name)}.html`,
    module: (name) => `modules/${path(name)}.html`,
    kernel: (name) => `kernels/${path(name)}.html`,
  };
  const KINDS = Object.keys(PAGES);
  const entries = [];
  const systems = new Set();

  function path(name) {
    return name.replace(/[A-Z]/g, (capital) => `=${capital.toLowerCase()}`);
  }

  function letter(name) {
    const first = name[0].toLowerCase();
    return first >= "a" && first <= "z" ? first : "_";
  }

  /** Takes what a file of the index holds; tpgen/atlas/search/scripts.py has its format. */
  function take(file, text) {
    let kind, of, before;
    for (const line of text.split("\n")) {
      if (line[0] === "#") {
        const place = line.indexOf(" ");
        [kind, of] = place < 0 ? [line.slice(1), ""] : [line.slice(1, place), line.slice(place + 1)];
        before = "";
        // The events of a system may be in two files.
        if (kind === "event" && of && !systems.has(of)) add("system", of, "");
        if (kind === "event") systems.add(of);
        continue;
      }
      const [shown, count, page] = line.split("\t");
      const name = before.slice(0, parseInt(shown[0], 36)) + shown.slice(1);
      before = name;
      add(kind, name, of, count && parseInt(count, 36), page);
    }
    document.dispatchEvent(new CustomEvent("atlas-names", { detail: file }));
  }

  function add(kind, name, of, count = 1, page = PAGES[kind](name, of)) {
    const around = !of ? "" : kind === "event" ? `${of}:` : `${of} `;
    const text = around + name;
    entries.push({ kind, text, around, name, count, page, key: text.toLowerCase(), own: name.toLowerCase() });
  }

  /** What is left of a word that programs, the kernel or the shell write around the name of an event or a type. */
  function words(query) {
    const plain = query
      .toLowerCase()
      .replace(/\b(?:tp_btf|raw_tp|raw_tracepoint|tracepoint|tp)(?:\.w)?[/:]/g, "")
      .replace(/\b(?:trace_event_raw_|trace_event_data_offsets_|btf_trace_|__traceiter_|__probestub_|__tracepoint_)/g, "")
      .replaceAll("/", ":")
      .replace(/[*&;,()"'`]/g, " ");
    return plain.split(/\s+/).filter(Boolean);
  }

  /** How well an entry fits, the smaller the better: itself, its beginning, that of a word in it, anywhere; or -1. */
  function rank(entry, tokens) {
    let worst = 0;
    for (const token of tokens) {
      const place = entry.key.indexOf(token);
      if (place < 0) return -1;
      let here = 3;
      if (entry.own === token || entry.key === token) here = 0;
      else if (place === 0 || entry.own.startsWith(token)) here = 1;
      else if (!/[a-z0-9]/.test(entry.key[place - 1])) here = 2;
      worst = Math.max(worst, here);
    }
    return worst;
  }

  /**
   * What `query` finds, at most `limit` of a kind: [{ kind, total, found: [entry…], best }…], the kind with the best
   * first. All words must occur. Where nothing has them, it is names that differ in a letter or two, as `near`.
   */
  function find(query, limit) {
    const tokens = words(query);
    if (!tokens.length) return { groups: [], near: false };
    const whole = tokens.join(" ");
    const ranked = new Map(KINDS.map((kind) => [kind, [[], [], [], []]]));
    for (const entry of entries) {
      const place = entry.key === whole ? 0 : rank(entry, tokens);
      if (place >= 0) ranked.get(entry.kind)[place].push(entry);
    }
    const groups = KINDS.map((kind) => group(kind, ranked.get(kind), limit)).filter((each) => each.total);
    groups.sort((one, other) => Math.min(one.best, 1) - Math.min(other.best, 1));
    return groups.length ? { groups, near: false } : { groups: near(tokens, limit), near: true };
  }

  function group(kind, places, limit) {
    const found = [];
    for (const entriesHere of places) {
      if (found.length < limit) found.push(...entriesHere.sort(before));
    }
    const total = places.reduce((sum, here) => sum + here.length, 0);
    return { kind, total, best: places.findIndex((here) => here.length), found: found.slice(0, limit) };
  }

  /** Known by more events first, then the shorter, then by name. */
  function before(one, other) {
    return other.count - one.count || one.own.length - other.own.length || (one.key < other.key ? -1 : 1);
  }

  /** The names that one token is, but for a letter or two. */
  function near(tokens, limit) {
    const word = tokens[tokens.length - 1].split(":").pop();
    if (word.length < 4) return [];
    const places = new Map(KINDS.map((kind) => [kind, [[], [], [], []]]));
    for (const entry of entries) {
      const distance = differs(entry.own, word, 2);
      if (distance <= 2) places.get(entry.kind)[distance].push(entry);
    }
    const groups = KINDS.map((kind) => group(kind, places.get(kind), limit)).filter((each) => each.total);
    return groups.sort((one, other) => one.best - other.best);
  }

  /** In how many letters two words differ (two swapped count one), or more than `most`. */
  function differs(one, other, most) {
    if (Math.abs(one.length - other.length) > most) return most + 1;
    let last = [];
    let row = Array.from({ length: other.length + 1 }, (_, place) => place);
    for (let i = 1; i <= one.length; i++) {
      const next = [i];
      let least = i;
      for (let j = 1; j <= other.length; j++) {
        const same = one[i - 1] === other[j - 1];
        let cost = Math.min(row[j - 1] + (same ? 0 : 1), row[j] + 1, next[j - 1] + 1);
        const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
        if (swapped) cost = Math.min(cost, last[j - 2] + 1);
        next.push(cost);
        least = Math.min(least, cost);
      }
      if (least > most) return most + 1;
      [last, row] = [row, next];
    }
    return row[other.length];
  }

  return { take, find };
})();
