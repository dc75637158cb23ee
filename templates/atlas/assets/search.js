/* SPDX-License-Identifier: 0BSD */
/* The box for searching, a combobox with a list below it as WAI-ARIA's patterns have it, and the page of all results. */
"use strict";

(() => {
  const LABELS = {
    event: "Events", system: "Systems", type: "Types", argument: "Arguments", field: "Fields", module: "Modules",
    kernel: "Kernels",
  };
  const FILES = ["events", "modules", "others"];
  const IN_LIST = { first: 8, others: 4 };
  const ON_PAGE = 300;
  const root = document.documentElement.dataset.root;
  const form = document.querySelector("form[role=search]");
  const box = form.querySelector("input");
  const list = form.querySelector("[role=listbox]");
  const status = form.querySelector("[role=status]");
  const results = document.getElementById("results");
  // The files of the index that are asked for, some by the page itself, and those that came.
  const [asked, here] = [new Set(), new Set()];
  for (const { src } of document.scripts) asked.add(src.match(/search\/(\w+)\.js$/)?.[1]);
  let options = [];
  let active = -1;

  // --- the index, which comes after the page

  /** Loads a file of the index, once. */
  function load(file) {
    if (asked.has(file)) return;
    asked.add(file);
    const script = document.createElement("script");
    script.src = trusted(`${root}search/${file}.js`);
    script.addEventListener("error", () => {
      asked.delete(file);
      say("The names could not be loaded.");
    });
    document.head.append(script);
  }

  const policy = window.trustedTypes?.createPolicy("atlas", { createScriptURL: ownScript });

  /** The address of a script of this site, as one that the page may load; nothing else is one. */
  function trusted(url) {
    return policy ? policy.createScriptURL(url) : url;
  }

  function ownScript(url) {
    if (!/^(?:\.\.\/)*search\/\w+\.js$/.test(url)) throw new TypeError(`not the atlas's: ${url}`);
    return url;
  }

  function loadAll() {
    FILES.forEach(load);
  }

  function isComplete() {
    return FILES.every((file) => here.has(file));
  }

  // --- the list below the box

  function show() {
    const query = box.value.trim();
    if (!query) return close();
    const { groups, near } = atlas.find(query, IN_LIST.first);
    options = [];
    const parts = groups.map((group, place) => section(group, place ? IN_LIST.others : IN_LIST.first));
    const total = groups.reduce((sum, group) => sum + group.total, 0);
    if (total > options.length) parts.push(allResults(query, total));
    if (near && total) parts.unshift(note("Nothing is called so. What comes near:"));
    if (!total) parts.push(note(isComplete() ? "Nothing is called so." : "Loading the names …"));
    list.replaceChildren(...parts);
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    activate(total ? 0 : -1);
    say(isComplete() ? told(total, near) : "");
  }

  function told(total, near) {
    if (!total) return "Nothing found.";
    return `${total} ${total === 1 ? "result" : "results"}${near ? " that come near" : ""}.`;
  }

  function section(group, most) {
    const part = element("div", { role: "group", "aria-labelledby": `of-${group.kind}` });
    const count = group.total > most ? `${most} of ${group.total}` : "";
    const title = element("div", { class: "group", id: `of-${group.kind}`, role: "presentation" }, LABELS[group.kind]);
    title.append(element("span", { class: "count" }, count));
    part.append(title, ...group.found.slice(0, most).map(option));
    return part;
  }

  function option(entry) {
    const link = element("a", { role: "option", id: `option-${options.length}`, href: root + entry.page, tabindex: -1 });
    link.setAttribute("aria-selected", "false");
    link.append(name(entry), " ", about(entry));
    options.push(link);
    return link;
  }

  function allResults(query, total) {
    const link = option({ around: "", name: `All ${total} results`, page: address(query) });
    link.classList.add("all");
    return link;
  }

  function address(query) {
    return `search.html?q=${encodeURIComponent(query)}`;
  }

  /** The name, with what is around it set back: the system of an event, the keyword of a type. */
  function name(entry) {
    return element("span", { class: "name" }, element("span", { class: "around" }, entry.around), entry.name);
  }

  /** How many events an argument, a field or a type is of. */
  function about(entry) {
    const counts = ["argument", "field", "type", "module"].includes(entry.kind);
    return counts ? element("span", { class: "count" }, `${entry.count} ${entry.count === 1 ? "event" : "events"}`) : "";
  }

  function note(text) {
    return element("div", { class: "note", role: "presentation" }, text);
  }

  function activate(place) {
    options[active]?.setAttribute("aria-selected", "false");
    active = place;
    const link = options[active];
    if (!link) return box.removeAttribute("aria-activedescendant");
    link.setAttribute("aria-selected", "true");
    box.setAttribute("aria-activedescendant", link.id);
    link.scrollIntoView({ block: "nearest" });
  }

  function close() {
    list.hidden = true;
    options = [];
    active = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  }

  function say(text) {
    status.textContent = text;
  }

  // --- keys and the pointer

  function onKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) return show();
      if (options.length) activate((active + step + options.length) % options.length);
    } else if (event.key === "Enter" && options[active]) {
      event.preventDefault();
      options[active].click();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (list.hidden) box.value = "";
      close();
    }
  }

  box.addEventListener("keydown", onKey);
  box.addEventListener("input", () => {
    loadAll();
    show();
    if (results) showPage();
  });
  box.addEventListener("focus", loadAll);
  box.addEventListener("blur", close);
  // A press within the list would take the focus from the box, and close the list before the click.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", close);
  document.addEventListener("atlas-names", ({ detail: file }) => {
    here.add(file);
    if (document.activeElement === box && box.value) show();
    if (results) showPage();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    box.focus();
    box.select();
  });

  // --- the page of all results

  function showPage() {
    const query = box.value.trim();
    const { groups, near } = atlas.find(query, ON_PAGE);
    const total = groups.reduce((sum, group) => sum + group.total, 0);
    const said = query ? told(total, near) : "Type a name, or a part of one.";
    const parts = [element("p", {}, isComplete() ? said : "Loading the names …"), ...groups.map(pageSection)];
    results.replaceChildren(...parts);
    history.replaceState(null, "", query ? address(query) : "search.html");
  }

  function pageSection(group) {
    const part = element("section", {}, element("h2", { id: `found-${group.kind}` }, LABELS[group.kind]));
    part.firstChild.append(" ", element("span", { class: "count" }, String(group.total)));
    const items = group.found.map((entry) => {
      const link = element("a", { href: root + entry.page }, name(entry));
      return element("li", {}, link, " ", about(entry));
    });
    part.append(element("ul", { class: "columns" }, ...items));
    if (group.total > group.found.length) {
      part.append(element("p", { class: "muted" }, `The first ${group.found.length}: another letter shows fewer.`));
    }
    return part;
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  if (results) {
    box.value = new URLSearchParams(location.search).get("q") ?? "";
    loadAll();
    showPage();
  }
  (window.requestIdleCallback ?? setTimeout)(() => {
    load("events");
    load("modules");
  });
})();
