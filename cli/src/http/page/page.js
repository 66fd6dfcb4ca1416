"use strict";
// Shows /state.json, again and again. All texts that come from the network become text nodes, and
// the picture is read as XML without scripts: nothing that a node is called can be more than text.

const INTERVAL = 2000;
const PATIENCE = 10000;
const HISTORY = 60;
const history = [];
let drawn = "";

const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

const known = (value) => value !== null && value !== undefined;
const number = (value) => (!known(value) ? "–" : value < 10 && value % 1 ? value.toFixed(1) : Math.round(value).toLocaleString("en"));
const octets = (value) => {
  if (!known(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1000;
  return `${value < 10 && at ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
};
const time = (seconds) => {
  if (!known(seconds)) return "–";
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
};
const counted = (all, what) => `${all.length} ${what}${all.length === 1 ? "" : "s"}`;
const rate = (value) => (known(value) ? `${number(value.messages)}/s` : "–");
const traffic = (value) => (known(value) ? `${octets(value.octets)}/s` : "–");

// A column: its heading, what a row has in it, and how that is shown.
const column = (label, value, kind, more) => ({ label, value, kind, more });
const count = (label, value, bad) => ({ label, value, kind: "number", bad });

const TABLES = {
  nodes: {
    none: "no node has answered yet",
    columns: [
      column("node", (n) => n.node, "name", (n) => [n.silent ?? [n.provider, n.generation && `generation ${n.generation}`, ...n.roles].filter(Boolean).join(", ")]),
      count("up", (n) => time(n.age_seconds)),
      count("round trip", (n) => time(n.round_trip_seconds)),
      count("links", (n) => number(n.links)),
      count("ports", (n) => number(n.ports)),
      count("sends", (n) => rate(n.sends)),
      count("receives", (n) => rate(n.receives)),
      count("queued", (n) => number(n.queued)),
      count("unwritten", (n) => octets(n.unwritten_octets)),
      count("died", (n) => number(n.deaths), (n) => n.deaths > 0),
      count("lost", (n) => number(n.losses)),
    ],
    bad: (n) => n.silent,
  },
  links: {
    none: "there are no links",
    columns: [
      column("link", (l) => `${l.nodes[0]} – ${l.nodes[1]}`, "name", (l) => [l.about]),
      count("→", (l) => rate(l.there)),
      count("←", (l) => rate(l.back)),
      count("→ octets", (l) => traffic(l.there)),
      count("← octets", (l) => traffic(l.back)),
      count("unwritten", (l) => (l.unwritten_octets.some(known) ? octets(l.unwritten_octets.reduce((a, b) => (a ?? 0) + (b ?? 0))) : "–")),
      count("made again", (l) => number(l.reconnects)),
    ],
  },
  groups: {
    none: "nobody is in a group",
    columns: [
      column("group", (g) => g.group, "name"),
      count("members", (g) => number(g.count)),
      column("ports", (g) => g.members.join(" ") + (g.count > g.members.length ? " .." : ""), "wide"),
    ],
  },
  deaths: {
    none: "none",
    columns: [
      column("port", (d) => d.port, "name"),
      count("ago", (d) => time(d.seconds_ago)),
      column("reason", (d) => d.reason, "wide"),
    ],
  },
  losses: {
    none: "none",
    columns: [
      column("link", (l) => `${l.node} → ${l.other}`, "name"),
      count("ago", (l) => time(l.seconds_ago)),
      column("why", (l) => l.kind),
      column("reason", (l) => l.reason, "wide"),
    ],
  },
};

const table = ({ none, columns, bad }, rows) => {
  if (!rows.length) return element("p", none, "none");
  const made = element("table");
  const head = made.appendChild(element("thead")).appendChild(element("tr"));
  for (const { label, kind } of columns) head.append(element("th", label, kind));
  const body = made.appendChild(element("tbody"));
  for (const row of rows) {
    const line = body.appendChild(element("tr", undefined, bad?.(row) ? "bad" : ""));
    columns.forEach((of, at) => {
      const cell = line.appendChild(element("td", of.value(row), of.kind));
      if (of.bad?.(row)) cell.classList.add("bad");
      if (at) cell.dataset.label = of.label;
      for (const text of of.more?.(row) ?? []) cell.append(element("br"), element("small", text));
    });
  }
  return made;
};

const show = (state) => {
  document.title = `${state.node} – aemp`;
  document.getElementById("name").textContent = state.node;
  const more = state.nodes_left_out ? ` (and ${state.nodes_left_out} more)` : "";
  const { messages, octets: volume } = state.total;
  document.getElementById("summary").textContent =
    `${counted(state.nodes, "node")}${more}, ${counted(state.links, "link")}, ${number(messages)} messages/s, ${octets(volume)}/s`;
  const links = state.missing.map(([a, b]) => ({ nodes: [a, b], about: "missing, though both know of each other", unwritten_octets: [] }));
  for (const [name, of] of Object.entries(TABLES)) {
    const rows = name === "links" ? [...state.links, ...links] : state[name];
    document.getElementById(name).replaceChildren(table(of, rows));
  }
  history.push(messages);
  if (history.length > HISTORY) history.shift();
  const most = Math.max(...history, 1);
  const point = (value, at) => `${(at * 120) / (HISTORY - 1)} ${29 - (value / most) * 28}`;
  document.querySelector("#history path").setAttribute("d", `M${history.map(point).join("L")}`);
};

const draw = (text) => {
  if (text === drawn) return;
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (picture.nodeName !== "svg") return;
  drawn = text;
  document.getElementById("topology").replaceChildren(document.importNode(picture, true));
};

const trouble = (texts) => {
  const place = document.getElementById("trouble");
  place.textContent = texts.join("; ");
  place.hidden = !texts.length;
};

const get = async (path) => {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return answer;
};

const look = async () => {
  try {
    const state = await (await get("state.json")).json();
    show(state);
    const narrow = matchMedia("(max-width: 46rem)").matches;
    draw(await (await get(narrow ? "topology.svg?narrow" : "topology.svg")).text());
    trouble(state.faults);
  } catch (error) {
    trouble([`the node does not answer (${error.message}); this is what was seen last`]);
  }
};

const again = async () => {
  // A page that nobody sees asks for nothing.
  if (!document.hidden) await look();
  setTimeout(again, INTERVAL);
};
document.addEventListener("visibilitychange", () => document.hidden || look());
again();
