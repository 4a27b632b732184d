"use strict";

// The panel (facts of what was chosen, each opening its source) and the search field. Text is only ever set as text.
(() => {
  const { question, leftOut, warnings, nodes, edges, found, facts, excerpts } = JSON.parse(document.getElementById("data").textContent);
  const WAYS = {
    question: "named in the question",
    found: "in facts found for it",
    near: question ? "neighbour" : "key element",
  };
  const MOST_LISTED = 60, MOST_GROUPS = 8, GROUP_MEMBERS = 5, MOST_NEIGHBOURS = 24, CONTEXT_CHARACTERS = 1500;
  const byId = (id) => document.getElementById(id);
  const panel = byId("panel"), search = byId("search"), dialog = byId("source");

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") element.addEventListener("click", value);
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const label = (number) => nodes[number].spellings[0];
  const graph = drawGraph(byId("graph"), nodes, edges, !question, { node: choose, edge: showEdge, paper: showStart });

  // Lists ---------------------------------------------------------------------------------------------------
  function chips(numbers) {
    return make("ul", { class: "chips" }, ...numbers.map((number) =>
      make("li", {}, make("button", { dir: "auto", onclick: () => choose(number) }, label(number)))));
  }

  function placeOf(fact) {
    const { document: title } = excerpts[fact.excerpt];
    return `${title}, page ${fact.page}${fact.heading && fact.heading !== title ? ` · ${fact.heading}` : ""}`;
  }

  function factList(numbers, ordered = false) {
    return make(ordered ? "ol" : "ul", { class: "facts" }, ...numbers.map((number) =>
      make("li", {}, make("button", { "aria-haspopup": "dialog", onclick: () => openSource(number) },
        make("span", { class: "fact", dir: "auto" }, facts[number].text),
        make("span", { class: "faint", dir: "auto" }, placeOf(facts[number]))))));
  }

  function show(...children) {
    panel.replaceChildren(...children);
    panel.scrollTop = 0;
  }
  const back = () => make("button", { class: "back", onclick: showStart }, "← Overview");
  const heading = (text) => make("h2", { dir: "auto" }, text);
  const faint = (text) => make("p", { class: "faint", dir: "auto" }, text);

  // What the panel shows ------------------------------------------------------------------------------------
  const groups = [];
  nodes.forEach((node, number) => { if (node.group !== null) (groups[node.group] ??= []).push(number); });

  function showStart() {
    setHash("");
    graph.highlight(new Set(), new Set());
    const parts = [];
    if (found.length) parts.push(make("h3", {}, "Facts found for the question"), factList(found, true));
    if (!question && groups.length > 1) {
      parts.push(make("h3", {}, "Often together"), make("ul", { class: "groups" }, ...groups.slice(0, MOST_GROUPS).map((members, number) =>
        make("li", {}, make("button", { class: `group group${number}`, onclick: () => showGroup(number) },
          members.slice(0, GROUP_MEMBERS).map(label).join(", "))))));
    }
    const listed = graph.importance.slice(0, MOST_LISTED);
    parts.push(make("h3", {}, "Key elements"), chips(listed));
    if (nodes.length > listed.length) parts.push(faint(`and ${nodes.length - listed.length} more in the graph`));
    show(...parts);
  }

  function showGroup(number) {
    const members = new Set(groups[number]);
    const inside = new Set([...edges.keys()].filter((edge) => edges[edge].ends.every((end) => members.has(end))));
    graph.highlight(members, inside);
    show(back(), heading("Often together"), faint(count(members.size, "key element")), chips([...members]));
  }

  function choose(number) {
    const node = nodes[number];
    const own = [...edges.keys()].filter((edge) => edges[edge].ends.includes(number))
      .sort((one, other) => edges[other].shared - edges[one].shared);
    const around = own.map((edge) => edges[edge].ends.find((end) => end !== number));
    setHash(node.name);
    graph.highlight(new Set(around), new Set(own), number);
    graph.reveal(number);
    const kept = node.facts.length < node.count ? `, ${node.facts.length} of them here` : "";
    const also = node.spellings.slice(1);
    show(back(), heading(label(number)),
      faint(`${WAYS[node.reached]} · ${count(node.count, "fact")}${kept}`),
      ...(also.length ? [faint(`also written ${also.join(", ")}`)] : []),
      factList(node.facts),
      ...(around.length ? [make("h3", {}, "Linked with"), chips(around.slice(0, MOST_NEIGHBOURS))] : []));
  }

  function showEdge(number) {
    const { ends, shared, facts: both } = edges[number];
    graph.highlight(new Set(ends), new Set([number]));
    show(back(), heading(ends.map(label).join(" – ")),
      faint(`together in ${count(shared, "fact")}${both.length < shared ? `, ${both.length} of them here` : ""}`),
      factList(both), chips(ends));
  }

  function showMatches() {
    const words = search.value.trim().toLowerCase();
    if (!words) return showStart();
    const holds = (text) => text.toLowerCase().includes(words);
    const named = graph.importance.filter((number) => [nodes[number].name, ...nodes[number].spellings].some(holds));
    const stated = [...facts.keys()].filter((number) => holds(facts[number].text));
    graph.highlight(new Set(named), new Set());
    show(back(), heading(`“${search.value.trim()}”`), faint(`${count(named.length, "key element")}, ${count(stated.length, "fact")}`),
      chips(named.slice(0, MOST_LISTED)), factList(stated.slice(0, MOST_LISTED)));
    return named;
  }

  // The source ----------------------------------------------------------------------------------------------
  function openSource(number) {
    const fact = facts[number], excerpt = excerpts[fact.excerpt];
    const text = Array.from(excerpt.text);  // offsets count code points, as Python does
    const start = fact.start - excerpt.start, end = fact.end - excerpt.start;
    const first = Math.max(0, start - CONTEXT_CHARACTERS), last = Math.min(text.length, end + CONTEXT_CHARACTERS);
    const part = (from, to) => text.slice(from, to).join("");
    const mark = make("mark", {}, part(start, end));
    byId("source-title").textContent = excerpt.document;
    byId("source-place").textContent = `page ${fact.page}${fact.heading ? ` · ${fact.heading}` : ""} · characters ${fact.start}–${fact.end}`;
    byId("source-text").replaceChildren(
      first > 0 || !excerpt.begins ? "… " : "", part(first, start), mark, part(end, last), last < text.length || !excerpt.ends ? " …" : "");
    byId("source-elements").replaceChildren(chips(fact.elements));
    dialog.showModal();
    mark.scrollIntoView({ block: "center" });
    byId("source-text").focus({ preventScroll: true });
  }
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".chips button")) dialog.close();
  });

  // Address: a node's name stands behind the #, so that back, forward and links work.
  const wanted = () => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } };
  let shown = "";  // what the address last said
  function setHash(name) {
    shown = name;
    if (wanted() !== name) location.hash = encodeURIComponent(name);
  }
  function followHash() {
    const name = wanted(), number = nodes.findIndex((node) => node.name === name);
    if (number >= 0) choose(number);
    else showStart();
  }

  // Controls ------------------------------------------------------------------------------------------------
  search.addEventListener("input", showMatches);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { const [best] = showMatches() ?? []; if (best !== undefined) choose(best); }
  });
  addEventListener("keydown", (event) => {
    if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { search.value = ""; showStart(); }
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
  });
  for (const [id, action] of [["in", graph.zoomIn], ["out", graph.zoomOut], ["fit", graph.fit]]) byId(id).addEventListener("click", action);

  const counts = `${count(nodes.length, "key element")}, ${count(edges.length, "link")}, ${count(facts.length, "fact")}`;
  byId("summary").textContent = [leftOut ? `${counts}; ${count(leftOut, "further neighbour")} not shown` : counts, ...warnings].join(". ");
  if (question) {
    const ways = Object.keys(WAYS).filter((way) => nodes.some((node) => node.reached === way));
    byId("legend").append(...ways.map((way) => make("li", { class: way }, WAYS[way])));
  }
  graph.fit();
  followHash();
  addEventListener("hashchange", () => { if (wanted() !== shown) followHash(); });
})();
