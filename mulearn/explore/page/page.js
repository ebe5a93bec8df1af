// The page: one step of the episode at a time, and what is selected in it.

const episode = JSON.parse(byId("mulearn-episode").textContent);
const { steps, board, players, words } = episode;
const isBoard = board !== null;
const view = { step: 0, nodes: [], selected: null, allBars: false };
const FEW_BARS = 10;
const picture = new TreePicture(byId("tree"), (node) => {
  view.selected = node;
  drawSight();
  drawBars();
  drawNode();
});

const chosenOf = (step) => {
  const { f, p, w } = step.tree;
  return words[w[f.findIndex((flags, i) => p[i] === 0 && flags & CHOSEN)]];
};
// Values are the mover's; seen by another player they change their sign.
const seenBy = (viewer, mover, value) => viewer === mover ? value : -value;

function go(step) {
  view.step = Math.min(Math.max(step, 0), steps.length);
  view.selected = null;
  const isEnd = view.step === steps.length;
  view.nodes = isEnd ? [] : readTree(steps[view.step].tree, words);
  if (!isEnd) view.nodes[0].value = steps[view.step].value;
  for (const node of playedLine()) node.played = true;
  for (const name of ["policy", "search", "line"]) {
    document.querySelector(`.mulearn .${name}`).hidden = isEnd;
  }
  drawWhere(isEnd);
  drawTimeline();
  drawSight();
  if (isEnd) return;
  drawBars();
  picture.show(view.nodes, !isBoard);
  drawNode();
  drawLine();
  const step_ = steps[view.step];
  const untried = view.nodes[0].children.filter((n) => !n.visits).length;
  byId("left-out").textContent = [
    untried ? `${untried} root ${isBoard ? "move" : "command"}` +
      `${untried > 1 ? "s were" : " was"} never tried: see the bars.` : "",
    step_.left ? `${step_.left} visited nodes are left out: the least ` +
      "visited, and those below an end." : "",
  ].filter(Boolean).join(" ");
}

// The nodes of this step's tree that the episode then went through.
function playedLine() {
  const line = [];
  let node = view.nodes[0];
  for (let i = view.step; node && i < steps.length; i++) {
    const label = chosenOf(steps[i]);
    node = node.children.find((n) => n.label === label && n.visits > 0);
    if (node) line.push(node);
  }
  return line;
}

function chosenLine() {
  const line = [];
  for (let node = view.nodes[0]; node;) {
    node = node.children.find((n) => n.flags & CHOSEN && n.visits > 0);
    if (node) line.push(node);
  }
  return line;
}

function drawWhere(isEnd) {
  byId("where").textContent = isEnd ? "The end"
    : `Step ${view.step + 1} of ${steps.length}`;
  const step = steps[view.step];
  byId("what").textContent = isEnd ? episode.ending
    : (isBoard ? `${players[step.mover]} plays ` : "> ") + chosenOf(step);
  byId("first").disabled = byId("previous").disabled = view.step === 0;
  byId("next").disabled = byId("last").disabled = isEnd;
}

function drawTimeline() {
  const W = 1000, H = 64, middle = H / 2, count = steps.length;
  const values = steps.map((s) => seenBy(0, s.mover, s.value));
  const last = steps[count - 1];
  if (last.over) values.push(seenBy(0, last.mover, last.reward));
  const top = Math.max(1000, ...values.map(Math.abs));
  const x = (i) => 12 + (W - 24) * i / Math.max(count, 1);
  const y = (value) => middle - (middle - 7) * value / top;
  const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img",
    preserveAspectRatio: "none", "aria-label": "Value over the episode" },
  svg("line", { x1: 0, x2: W, y1: middle, y2: middle,
    stroke: "var(--line)", "vector-effect": "non-scaling-stroke" }),
  svg("polyline", { points: points.join(" "), fill: "none",
    stroke: "var(--policy)", "stroke-width": 2,
    "vector-effect": "non-scaling-stroke" }),
  svg("path", { d: points.map((at) => `M${at}h0`).join(""),
    stroke: "var(--policy)", "stroke-width": 6, "stroke-linecap": "round",
    "vector-effect": "non-scaling-stroke" }),
  svg("line", { x1: x(view.step), x2: x(view.step), y1: 0, y2: H,
    stroke: "var(--chosen)", "stroke-width": 2,
    "vector-effect": "non-scaling-stroke" }));
  root.addEventListener("click", (event) => {
    const box = root.getBoundingClientRect();
    const part = (event.clientX - box.left) / box.width;
    go(Math.round((part * W - 12) / (W - 24) * count));
  });
  const who = players.length > 1 ? ` for ${players[0]}` : "";
  byId("timeline").replaceChildren(root, html("p", { class: "note" },
    `Value after search${who}, ${signed(-top)} to ${signed(top)};` +
    " click to go there."));
}

function drawSight() {
  const isEnd = view.step === steps.length;
  const step = steps[view.step], sight = isEnd ? episode.last : step.sight;
  byId("sight-title").textContent = isEnd ? "How it ended"
    : !isBoard ? "What the agent reads"
      : `${players[step.mover]} to move`;
  if (!isBoard) {
    const said = sight.text.replace(`Task: ${sight.task}`, "").trim();
    byId("sight").replaceChildren(html("b", {}, sight.task),
      html("pre", {}, said));
    byId("sight-note").textContent = "";
    return;
  }
  const roots = isEnd ? [] : view.nodes[0].children;
  const line = view.selected ? lineTo(view.nodes, view.selected) : [];
  const chosen = roots.find((node) => node.flags & CHOSEN);
  byId("sight").replaceChildren(drawBoard(board, sight, {
    policy: new Map(line.length ? [] : roots.map((n) => [n.cell, n.policy])),
    line: line.map((n, i) => ({ cell: n.cell, mover: (step.mover + i) % 2 })),
    chosen: chosen && !line.length ? chosen.cell : -1,
    click: (cell) => {
      const node = roots.find((n) => n.cell === cell);
      return node && (() => picture.select(node.visits ? node : null));
    },
  }));
  byId("sight-note").textContent = isEnd ? ""
    : line.length ? "Numbers: the imagined moves of the selected line."
      : "Discs: policy after search, in %. Ring: the move played.";
}

function drawBars() {
  const step = steps[view.step];
  const series = [["language", "language model"], ["prior", "before search"],
    ["policy", "after search"]];
  const rows = [...view.nodes[0].children].sort((a, b) =>
    b.policy - a.policy || b.prior - a.prior);
  const known = series.filter(([key]) => rows.some((n) => n[key] !== null));
  const longest = Math.max(1, ...rows.flatMap((n) =>
    known.map(([key]) => n[key])));
  byId("policy-keys").replaceChildren(...known.flatMap(([key, name]) => [
    html("span", { class: "swatch", style: `background:var(--${key})` }),
    name]));
  const root = view.selected && lineTo(view.nodes, view.selected)[0];
  const few = view.allBars || rows.length <= FEW_BARS + 1 ? rows
    : rows.filter((node, i) => i < FEW_BARS || node.flags & CHOSEN);
  byId("bars").replaceChildren(...few.map((node) => {
    const row = html("div", { class: "row" + (isBoard ? "" : " words") +
      (node.flags & CHOSEN ? " chosen" : "") +
      (root === node ? " selected" : "") },
    html("span", { class: "name" }, node.label),
    html("div", {}, ...known.map(([key]) => html("div", { class: "track" },
      html("i", { style: `background:var(--${key});` +
        `width:${(82 * node[key] / longest).toFixed(1)}%` }),
      share(node[key])))));
    row.addEventListener("click", () => {
      if (node.visits) picture.select(node);
    });
    return row;
  }));
  if (few.length < rows.length) {
    const more = html("button", {}, `Show ${rows.length - few.length} more`);
    more.addEventListener("click", () => {
      view.allBars = true;
      drawBars();
    });
    byId("bars").append(more);
  }
  const trust = step.trust === null ? []
    : [fact("trust in the language model", share(step.trust))];
  byId("values").replaceChildren(html("div", { class: "facts" },
    fact("value before search", signed(step.judged)),
    fact("after search", signed(step.value)), ...trust));
}

function fact(name, value, look) {
  return html("span", {}, html("span", {}, `${name} `),
    html("b", { class: look }, value));
}

function drawNode() {
  const node = view.selected;
  if (!node) {
    byId("node").replaceChildren(html("p", { class: "note" },
      "Select a node to see its line" + (isBoard ? " on the board" : "") +
      " and its numbers."));
    return;
  }
  const line = lineTo(view.nodes, node).map((n) => n.label).join(" → ");
  const facts = [fact("visits", String(node.visits))];
  if (node.parent >= 0) facts.push(fact("prior", share(node.prior)));
  if (node.language !== null && node.parent >= 0) {
    facts.push(fact("language model", share(node.language)));
  }
  if (node.policy !== null) facts.push(fact("policy", share(node.policy)));
  if (node.value !== null) facts.push(fact("value", signed(node.value)));
  if (node.judged !== null) {
    const where = episode.imagined && node.parent >= 0 ? "imagined" : "seen";
    facts.push(fact(`network alone, ${where}`, signed(node.judged)));
  }
  if (node.seen !== null && node.parent >= 0) {
    facts.push(fact("network, seeing the real position", signed(node.seen)));
  }
  const notes = [];
  if (node.flags & ILLEGAL) {
    notes.push("✗ This cannot be played in the real game.");
  }
  if (node.flags & WRONG_END) {
    notes.push(node.flags & ENDS
      ? "≠ The model ends the game here; the real one goes on."
      : "≠ The model goes on here; the real game is over.");
  } else if (node.flags & ENDS) {
    notes.push("■ The game ends here.");
  }
  byId("node").replaceChildren(html("b", {}, line || "root"),
    html("div", { class: "facts" }, ...facts),
    html("p", { class: "note" }, notes.join(" ")));
}

// What was planned and expected here, beside what was played and found later.
function drawLine() {
  const now = steps[view.step], planned = chosenLine(), played = playedLine();
  const rows = [];
  const turn = players.length > 1 ? -1 : 1;
  for (let k = 0; view.step + k < steps.length; k++) {
    if (k >= Math.max(planned.length, played.length)) break;
    const step = steps[view.step + k], after = steps[view.step + k + 1];
    const real = after === undefined && !step.over ? null
      : seenBy(now.mover, step.mover, step.reward + (step.over ? 0
        : turn * episode.discount * after.value));
    const imagined = played[k] ? played[k].value : null;
    const plan = planned[k] ? planned[k].label : "–", done = chosenOf(step);
    rows.push(html("tr", {}, html("td", {}, String(k + 1)),
      html("td", {}, plan),
      html("td", { class: plan === done ? "" : "other" }, done),
      html("td", {}, played[k] ? String(played[k].visits) : "0"),
      html("td", {}, imagined === null ? "–" : signed(imagined)),
      html("td", {}, real === null ? "–" : signed(Math.round(real)))));
  }
  const who = players.length > 1 ? ` for ${players[now.mover]}` : "";
  const head = html("tr", {}, ...["k", "planned", "played", "visits",
    `expected${who}`, "found there"].map((name) =>
    html("th", {}, name)));
  byId("line").replaceChildren(html("div", { class: "scroll" },
    html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows))),
  html("p", { class: "note" }, "k moves on from this step; coloured where it " +
    "was not as planned. Expected: the value of what was played, in the tree " +
    "above. Found there: what search said, or the game gave, after it was " +
    "really made."));
}

const KEYS = [
  [["ArrowRight", "n"], "→", "one step on", () => go(view.step + 1)],
  [["ArrowLeft", "p"], "←", "one step back", () => go(view.step - 1)],
  [["Home"], "Home", "to the first step", () => go(0)],
  [["End"], "End", "to the end", () => go(steps.length)],
  [["ArrowDown", "s"], "↓", "next node", () => picture.move("down")],
  [["ArrowUp", "w"], "↑", "node before", () => picture.move("up")],
  [["d", "."], "D", "deeper, to its best child", () => picture.move("in")],
  [["a", ","], "A", "back to its parent", () => picture.move("out")],
  [["Enter", " "], "Enter", "show or hide what is below",
    () => picture.selected && picture.toggle(picture.selected)],
  [["Escape"], "Esc", "select nothing", () => picture.select(null)],
  [["+", "="], "+", "larger", () => picture.zoom(1.25)],
  [["-", "_"], "−", "smaller", () => picture.zoom(0.8)],
  [["0"], "0", "fit", () => picture.fit()],
  [["e"], "E", "show every node", () => picture.expand(true)],
  [["c"], "C", "show the main lines", () => picture.expand(false)],
  [["?", "h"], "?", "these keys", () => byId("help").showModal()],
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (byId("help").open) return;
  const isButton = event.target instanceof HTMLButtonElement;
  if (isButton && (event.key === "Enter" || event.key === " ")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const found = KEYS.find(([names]) => names.includes(name));
  if (!found) return;
  const needsTree = !/^(Arrow(Left|Right)|Home|End|[np?h])$/.test(name);
  event.preventDefault();
  if (!needsTree || view.step < steps.length) found[3]();
}

function start() {
  byId("title").textContent = `${episode.title}: ${episode.ending}`;
  byId("facts").textContent = Object.entries(episode.facts)
    .map(([name, value]) => `${name}: ${value}`).join(" · ");
  const swatch = (colour) =>
    html("span", { class: "swatch", style: `background:${colour}` });
  const who = players.length > 1 ? " for the player to move at the root" : "";
  byId("tree-keys").replaceChildren(swatch("var(--chosen)"), "planned",
    swatch("var(--played)"), "really played", swatch("var(--good)"), "good",
    swatch("var(--bad)"), `bad${who} · 12× visits · ■ end` +
    (isBoard && episode.imagined
      ? " · ✗ illegal · ≠ not so in the real game" : "") +
    " · drag to pan, Ctrl + wheel to zoom");
  byId("keys").replaceChildren(...KEYS.flatMap(([, key, text]) =>
    [html("dt", {}, key), html("dd", {}, text)]));
  const on = (id, act) => byId(id).addEventListener("click", act);
  on("first", () => go(0));
  on("previous", () => go(view.step - 1));
  on("next", () => go(view.step + 1));
  on("last", () => go(steps.length));
  on("in", () => picture.zoom(1.25));
  on("out", () => picture.zoom(0.8));
  on("fit", () => picture.fit());
  on("expand", () => picture.expand(true));
  on("collapse", () => picture.expand(false));
  on("help-open", () => byId("help").showModal());
  document.addEventListener("keydown", onKey);
  go(0);
}

start();
