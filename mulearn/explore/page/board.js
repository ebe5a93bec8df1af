// Small helpers, and the picture of a board.

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children);
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children);
  return element;
}

const byId = (id) => document.getElementById(id);
const signed = (thousandths) => Math.abs(thousandths) < 5 ? "0.00"
  : (thousandths < 0 ? "−" : "+") + (Math.abs(thousandths) / 1000).toFixed(2);
const share = (thousandths) => (thousandths / 1000).toFixed(3)
  .replace(/^0/, "");

// What stones look like where their colour is part of the game.
const STONES = {
  connect_four: ["#f2c522", "#d1352b"],
  othello: ["#16181a", "#f5f5f5"],
  hex: ["#d1442c", "#2a76c2"],
};

function drawBoard(board, sight, marks) {
  // marks: {policy: Map(cell -> thousandths), line: [{cell, mover}],
  //         click: cell -> void, chosen: cell}
  const S = 40, isHex = board.kind === "hex";
  const R = S / Math.sqrt(3);
  const place = (row, column) => isHex
    ? [S * (column + row / 2 + 0.9), 1.5 * R * row + 1.35 * R + 14]
    : [S * (column + 0.5) + 18, S * (row + 0.5) + 18];
  const [right, bottom] = place(board.rows - 1, board.columns - 1);
  const width = isHex ? right + 0.9 * S : right + S / 2 + 8;
  const height = isHex ? bottom + 1.35 * R + 4 : bottom + S / 2 + 8;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    style: `max-width:${Math.round(1.6 * width)}px`,
    "aria-label": "The board" });
  if (isHex) drawHexSides(root, board, place, R);
  for (let row = 0; row < board.rows; row++) {
    for (let column = 0; column < board.columns; column++) {
      const cell = row * board.columns + column;
      drawCell(root, board, sight, marks, cell, place(row, column), S, R);
    }
  }
  drawNames(root, board, place, S, R);
  return root;
}

function hexagon(x, y, R) {
  const corners = [];
  for (let i = 0; i < 6; i++) {
    const angle = Math.PI / 3 * i + Math.PI / 6;
    corners.push([x + R * Math.cos(angle), y + R * Math.sin(angle)]);
  }
  return corners;
}

function drawHexSides(root, board, place, R) {
  const path = (cells, corners, colour) => {
    const points = cells.flatMap(([row, column]) => {
      const around = hexagon(...place(row, column), R);
      return corners.map((i) => around[i].map((v) => v.toFixed(1)).join(","));
    });
    root.append(svg("polyline", { points: points.join(" "), fill: "none",
      stroke: colour, "stroke-width": 7, "stroke-linejoin": "round",
      "stroke-linecap": "round" }));
  };
  const along = [...Array(board.rows).keys()], end = board.rows - 1;
  const [first, second] = STONES.hex;
  path(along.map((i) => [i, 0]), [3, 2], second);
  path(along.map((i) => [i, end]), [5, 0], second);
  path(along.map((i) => [0, i]), [3, 4, 5], first);
  path(along.map((i) => [end, i]), [2, 1, 0], first);
}

function drawCell(root, board, sight, marks, cell, [x, y], S, R) {
  const group = svg("g", marks.click(cell) ? { "data-click": "" } : {});
  const stone = sight.stones[cell];
  if (board.kind === "hex") {
    const points = hexagon(x, y, R - 0.5).map((p) => p.join(",")).join(" ");
    group.append(svg("polygon", { points, fill: "var(--cell)",
      stroke: "var(--line)" }));
  } else {
    group.append(svg("rect", { x: x - S / 2, y: y - S / 2, width: S,
      height: S, fill: "var(--cell)", stroke: "var(--line)" }));
  }
  if (board.kind === "connect_four") {
    group.append(svg("circle", { cx: x, cy: y, r: S * 0.42,
      fill: "var(--board)" }));
  }
  const mass = marks.policy.get(cell);
  if (stone === "0" && mass !== undefined) {
    group.append(svg("circle", { cx: x, cy: y,
      r: 2 + S * 0.34 * Math.sqrt(mass / 1000), fill: "var(--policy)",
      "fill-opacity": 0.35 + 0.4 * mass / 1000 }));
    if (mass >= 50) {
      group.append(svg("text", { x, y: y + 3.5, "text-anchor": "middle",
        "font-size": 10 }, String(Math.round(mass / 10))));
    }
  }
  if (stone !== "0") drawStone(group, board, Number(stone) - 1, x, y, S, 1);
  if (cell === sight.last) {
    group.append(svg("circle", { cx: x, cy: y, r: 4,
      fill: board.kind === "tic_tac_toe" ? "none" : "var(--card)",
      stroke: "var(--chosen)", "stroke-width": 2 }));
  }
  const at = marks.line.findIndex((move) => move.cell === cell);
  if (at >= 0 && stone === "0") {
    drawStone(group, board, marks.line[at].mover, x, y, S, 0.55);
    group.append(svg("circle", { cx: x, cy: y, r: 8, fill: "var(--card)" }),
      svg("text", { x, y: y + 4, "text-anchor": "middle", "font-size": 11,
        "font-weight": 700 }, String(at + 1)));
  }
  if (cell === marks.chosen) {
    group.append(svg("circle", { cx: x, cy: y, r: S * 0.43, fill: "none",
      stroke: "var(--chosen)", "stroke-width": 2.5 }));
  }
  const click = marks.click(cell);
  if (click) group.addEventListener("click", click);
  root.append(group);
}

function drawStone(group, board, mover, x, y, S, opacity) {
  if (board.kind !== "tic_tac_toe") {
    group.append(svg("circle", { cx: x, cy: y, r: S * 0.36,
      fill: STONES[board.kind][mover], "fill-opacity": opacity,
      stroke: "var(--soft)", "stroke-width": 0.7 }));
    return;
  }
  const r = S * 0.26, look = { stroke: "var(--ink)", "stroke-width": 4,
    fill: "none", "stroke-linecap": "round", "stroke-opacity": opacity };
  group.append(mover ? svg("circle", { cx: x, cy: y, r, ...look })
    : svg("path", { d: `M${x - r},${y - r}L${x + r},${y + r}` +
      `M${x - r},${y + r}L${x + r},${y - r}`, ...look }));
}

function drawNames(root, board, place, S, R) {
  const isHex = board.kind === "hex";
  for (let column = 0; column < board.columns; column++) {
    const [x, y] = place(0, column);
    const name = board.kind === "connect_four" ? String(column + 1)
      : String.fromCharCode(97 + column);
    root.append(svg("text", { x: isHex ? x - S * 0.25 : x,
      y: isHex ? y - R * 1.25 : 12, class: "soft", "font-size": 11,
      "text-anchor": "middle" }, name));
  }
  if (board.kind === "connect_four") return;
  for (let row = 0; row < board.rows; row++) {
    const [x, y] = place(row, 0);
    root.append(svg("text", { x: isHex ? x - S * 0.72 : 9, y: y + 4,
      class: "soft", "font-size": 11, "text-anchor": "middle" },
    String(row + 1)));
  }
}
