// The search tree: what is shown of it, where its boxes go, how it is drawn.

const CHOSEN = 1, ENDS = 2, ILLEGAL = 4, WRONG_END = 8;

// Columns of a step's tree -> nodes with children, the most visited first.
function readTree(tree, words) {
  const at = (key, i) => tree[key] ? tree[key][i] : null;
  const nodes = tree.w.map((word, i) => ({
    id: i, label: words[word], parent: tree.p[i], visits: tree.n[i],
    flags: tree.f[i], prior: tree.q[i], value: at("v", i),
    policy: at("a", i), language: at("l", i), judged: at("j", i),
    seen: at("s", i), cell: tree.c ? tree.c[i] : -1,
    children: [], depth: 0, open: false, played: false,
  }));
  for (const node of nodes.slice(1)) {
    node.depth = nodes[node.parent].depth + 1;
    nodes[node.parent].children.push(node);
  }
  // What was planned lies straight ahead, along the top.
  nodes[0].children.sort((a, b) => (b.flags & CHOSEN) - (a.flags & CHOSEN));
  return nodes;
}

// The nodes from the root down to this one, without the root.
function lineTo(nodes, node) {
  const line = [];
  for (let n = node; n.parent >= 0; n = nodes[n.parent]) line.unshift(n);
  return line;
}

const tried = (node) => node.children.filter((child) => child.visits > 0);

// Opens the lines that matter: chosen, played, and much visited.
function openMainLines(nodes) {
  const enough = Math.max(2, 0.12 * nodes[0].visits);
  for (const node of nodes) {
    node.open = node.parent < 0 || (node.flags & CHOSEN) > 0 ||
      node.played || node.visits >= enough;
  }
}

function shownNodes(root) {
  const shown = [];
  (function visit(node) {
    shown.push(node);
    if (node.open) tried(node).forEach(visit);
  })(root);
  return shown;
}

class TreePicture {
  constructor(frame, onSelect) {
    this.frame = frame;
    this.onSelect = onSelect;
    this.scale = 1;
    this.selected = null;
    this.hasWords = false;
    this.followDrags();
    frame.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
  }

  // Shows other nodes; `hasWords` makes room for commands in words.
  show(nodes, hasWords) {
    this.nodes = nodes;
    this.hasWords = hasWords;
    this.selected = null;
    openMainLines(nodes);
    this.draw();
    this.fit();
  }

  place() {
    const boxWidth = this.hasWords ? 226 : 116, gap = 40;
    this.box = { width: boxWidth, height: 36 };
    const free = [];  // The upper end of what is free, for each depth.
    const below = (node) => node.open ? tried(node) : [];
    const visit = (node, least) => {
      // On the row of its first child, and of that one's: main lines are
      // straight, and a column is filled from above without crossings.
      let y = least;
      for (let n = node; n; n = below(n)[0]) {
        y = Math.max(y, free[n.depth] ?? 12);
      }
      node.x = 12 + node.depth * (boxWidth + gap);
      node.y = y;
      free[node.depth] = y + 46;
      below(node).forEach((child) => visit(child, y));
    };
    visit(this.nodes[0], 12);
    this.width = 24 + free.length * (boxWidth + gap);
    this.height = Math.max(...free) + 8;
  }

  draw() {
    this.place();
    const edges = svg("g"), boxes = svg("g");
    const total = Math.max(this.nodes[0].visits, 1);
    for (const node of shownNodes(this.nodes[0])) {
      if (node.parent >= 0) edges.append(...this.edges(node, total));
      boxes.append(this.boxOf(node));
    }
    this.picture = svg("svg", {
      viewBox: `0 0 ${this.width} ${this.height}`, role: "img",
      "aria-label": "The search tree" }, edges, boxes);
    this.frame.replaceChildren(this.picture);
    this.resize();
  }

  look(node) {
    return (node.flags & CHOSEN ? " chosen" : "") +
      (node.flags & (ILLEGAL | WRONG_END) ? " illegal" : "");
  }

  edges(node, total) {
    const parent = this.nodes[node.parent], { width, height } = this.box;
    const x = parent.x + width, y = parent.y + height / 2;
    const middle = (x + node.x) / 2, end = node.y + height / 2;
    const d = `M${x},${y}C${middle},${y} ${middle},${end} ${node.x},${end}`;
    const width_ = 1.2 + 9 * node.visits / total;
    const edges = [svg("path", { d, "stroke-width": width_.toFixed(1),
      class: node.flags & CHOSEN ? "edge chosen" : "edge" })];
    if (node.played) {
      edges.push(svg("path", { d, class: "edge played",
        "stroke-width": Math.max(1.6, width_ / 3).toFixed(1) }));
    }
    return edges;
  }

  boxOf(node) {
    const { width, height } = this.box, right = width - 13;
    const selected = this.selected === node ? " selected" : "";
    const group = svg("g", { class: `box${this.look(node)}${selected}`,
      transform: `translate(${node.x},${node.y})`, "data-click": "",
      "data-node": node.id });
    const value = node.value === null ? 0 : node.value;
    const strength = Math.min(Math.abs(value) / 10, 100);
    const hue = value < 0 ? "var(--bad)" : "var(--good)";
    group.append(svg("rect", { width, height, rx: 7,
      style: `fill:color-mix(in srgb, ${hue} ${strength}%, var(--card))` }));
    if (node.played) {
      group.append(svg("path", { class: "mark", d: `M0,9V${height - 9}` }));
    }
    const name = node.parent < 0 ? "root" : node.label;
    const room = this.hasWords ? 21 : 8;
    const text = name.length > room ? name.slice(0, room - 1) + "…" : name;
    const mark = node.flags & ILLEGAL ? " ✗" : node.flags & WRONG_END ? " ≠"
      : node.flags & ENDS ? " ■" : "";
    group.append(
      svg("title", {}, name),
      svg("text", { x: 8, y: 15, "font-size": 13, "font-weight": 650 },
        text + mark),
      svg("text", { x: right, y: 15, "font-size": 12,
        "text-anchor": "end" }, signed(value)),
      svg("text", { x: 8, y: 29, "font-size": 10.5, class: "soft" },
        node.parent < 0 ? `${node.visits} simulations`
          : `${node.visits}×   prior ${share(node.prior)}`));
    if (node.language !== null && node.parent >= 0) {
      group.append(svg("text", { x: right, y: 29, "font-size": 10.5,
        class: "soft", "text-anchor": "end" }, `LM ${share(node.language)}`));
    }
    group.addEventListener("click", () => this.select(node));
    group.addEventListener("dblclick", () => this.toggle(node));
    if (tried(node).length) group.append(this.knob(node));
    return group;
  }

  knob(node) {
    const { width, height } = this.box;
    const label = node.open ? "−" : `+${tried(node).length}`;
    const knob = svg("g", { class: "knob", role: "button",
      transform: `translate(${width},${height / 2})` },
    svg("circle", { r: 14, style: "fill:transparent;stroke:none" }),
    svg("circle", { r: 9 }),
    svg("text", { y: 3.5, "text-anchor": "middle" }, label));
    knob.addEventListener("click", (event) => {
      event.stopPropagation();
      this.toggle(node);
    });
    return knob;
  }

  select(node) {
    this.selected = node;
    if (node) {
      for (const above of lineTo(this.nodes, node).slice(0, -1)) {
        above.open = true;
      }
    }
    this.draw();
    if (node) this.reveal(node);
    this.onSelect(node);
  }

  toggle(node) {
    if (!tried(node).length) return;
    node.open = !node.open;
    this.draw();
  }

  expand(isAll) {
    if (isAll) for (const node of this.nodes) node.open = true;
    else openMainLines(this.nodes);
    this.draw();
    this.fit();
  }

  // Moves the selection: along siblings and cousins in sight, or in depth.
  move(key) {
    const node = this.selected;
    if (!node) return this.select(this.nodes[0]);
    const rows = shownNodes(this.nodes[0])
      .filter((other) => other.depth === node.depth);
    const row = rows.indexOf(node);
    if (key === "up" && row > 0) this.select(rows[row - 1]);
    if (key === "down" && row < rows.length - 1) this.select(rows[row + 1]);
    if (key === "out" && node.parent >= 0) {
      this.select(this.nodes[node.parent]);
    }
    if (key === "in" && tried(node).length) {
      node.open = true;
      this.select(tried(node)[0]);
    }
  }

  resize() {
    this.picture.setAttribute("width", this.width * this.scale);
    this.picture.setAttribute("height", this.height * this.scale);
  }

  fit() {
    const { clientWidth, clientHeight } = this.frame;
    const whole = Math.min(clientWidth / this.width,
      clientHeight / this.height);
    const least = clientWidth < 500 ? 0.75 : 0.9;  // Can still be read.
    this.scale = Math.min(Math.max(whole, least), 1.15);
    this.resize();
    this.frame.scrollTo(0, 0);
  }

  zoom(factor, event) {
    const frame = this.frame, before = this.scale;
    this.scale = Math.min(Math.max(before * factor, 0.2), 3);
    const box = frame.getBoundingClientRect();
    const x = event ? event.clientX - box.left : frame.clientWidth / 2;
    const y = event ? event.clientY - box.top : frame.clientHeight / 2;
    const ratio = this.scale / before;
    const left = (frame.scrollLeft + x) * ratio - x;
    const top = (frame.scrollTop + y) * ratio - y;
    this.resize();
    frame.scrollTo(left, top);
  }

  reveal(node) {
    const { frame, scale } = this, { width, height } = this.box;
    const within = (start, size, from, room) =>
      start < from ? start - 12
        : start + size > from + room ? start + size - room + 12 : from;
    frame.scrollTo(
      within(node.x * scale, (width + 14) * scale, frame.scrollLeft,
        frame.clientWidth),
      within(node.y * scale, height * scale, frame.scrollTop,
        frame.clientHeight));
  }

  // Pans with the mouse; fingers scroll by themselves.
  followDrags() {
    const frame = this.frame;
    let from = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button) return;
      from = [event.clientX + frame.scrollLeft,
        event.clientY + frame.scrollTop];
    });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      frame.classList.add("dragged");
      frame.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
    });
    window.addEventListener("pointerup", () => {
      from = null;
      frame.classList.remove("dragged");
    });
  }
}
