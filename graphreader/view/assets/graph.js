"use strict";

// Draws nodes and edges where Python placed them, and tells what was pointed at. Knows nothing of facts.
//
// byGroup: colours say which nodes are often together rather than how they were reached.
// on: { node(number), edge(number), paper() }. Labels of documents are written with textContent, never as markup.
function drawGraph(svg, nodes, edges, byGroup, on) {
  const LABEL_CHARACTERS = 28, LABEL_PIXELS = 13, TOUCH_PIXELS = 20, MOUSE_PIXELS = 5, EDGE_PIXELS = 6;
  const COLOURS = 8, ALWAYS_LABELLED = 30, MOST_STRETCHED = 1.6, LARGEST_SCALE = 130;
  const SMALLEST_SIZE = 0.5, ROOMY_SCALE = 40, CONTROLS = [150, 56];  // width and height of the buttons' corner

  function draw(tag, attributes, parent) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  }

  const edgeLayer = draw("g", { "aria-hidden": "true" }, svg);
  const nodeLayer = draw("g", {}, svg);
  const mostFacts = Math.max(1, ...nodes.map((node) => node.count));
  const mostShared = Math.max(1, ...edges.map((edge) => edge.shared));
  const lines = edges.map((edge) => draw("line", {
    class: "edge", "stroke-width": (1 + 2.5 * Math.log1p(edge.shared) / Math.log1p(mostShared)).toFixed(2),
  }, edgeLayer));
  const fullRadius = nodes.map((node) => 4 + 9 * Math.sqrt(node.count / mostFacts) + (node.reached === "question" ? 3 : 0));
  const shapes = nodes.map((node, number) => {
    const colour = byGroup ? (node.group !== null && node.group < COLOURS ? `group${node.group}` : "") : node.reached;
    const facts = `${node.count} ${node.count === 1 ? "fact" : "facts"}`;
    const shape = draw("g", { class: `node ${colour}`, role: "button", tabindex: "-1", "aria-label": `${node.spellings[0]}, ${facts}` }, nodeLayer);
    draw("circle", {}, shape);
    const characters = Array.from(node.spellings[0]);
    draw("text", {}, shape).textContent =
      characters.length > LABEL_CHARACTERS ? characters.slice(0, LABEL_CHARACTERS - 1).join("") + "…" : node.spellings[0];
    return shape;
  });
  const labelWidth = shapes.map((shape) => shape.lastChild.getComputedTextLength());
  // What the question names and what is frequent gets its label first, and is drawn last, above the others.
  const importance = nodes.map((_, number) => number).sort((one, other) => fullRadius[other] - fullRadius[one] || one - other);
  nodeLayer.append(...importance.map((number) => shapes[number]).reverse());

  // A point of the layout lies at (x * scaleX + left, y * scaleY + top) on the screen. Labels keep their size, circles
  // too unless they stand close.
  const view = { scaleX: 1, scaleY: 1, left: 0, top: 0, touched: false };
  let points = [], radius = fullRadius, boxes = new Map();
  let chosen = -1, hovered = -1, marked = new Set();

  const overlap = (one, other) => one[0] < other[2] && one[2] > other[0] && one[1] < other[3] && one[3] > other[1];

  // Boxes a label may take, in the order of preference: right, left, below, above its circle.
  function places(number) {
    const [x, y] = points[number];
    const width = labelWidth[number], half = LABEL_PIXELS / 2 + 1, gap = radius[number] + 3;
    return [
      [x + gap, y - half, x + gap + width, y + half],
      [x - gap - width, y - half, x - gap, y + half],
      [x - width / 2, y + gap - 1, x + width / 2, y + gap + 2 * half - 1],
      [x - width / 2, y - gap - 2 * half + 1, x + width / 2, y - gap + 1],
    ];
  }

  function placeLabels() {
    const { width, height } = svg.getBoundingClientRect();
    const circles = points.map(([x, y], number) => [x - radius[number], y - radius[number], x + radius[number], y + radius[number]]);
    const controls = [width - CONTROLS[0], height - CONTROLS[1], width, height];
    const seen = (box) => box[0] >= 0 && box[1] >= 0 && box[2] <= width && box[3] <= height && !overlap(box, controls);
    boxes = new Map();
    // The best place where no other label stands: one over no circle, or, for what matters most, over the fewest.
    function placeFor(number, mayCover) {
      const open = places(number).filter((box) => seen(box) && ![...boxes.values()].some((other) => overlap(box, other)));
      const covered = open.map((box) => circles.filter((circle, other) => other !== number && overlap(box, circle)).length);
      const least = Math.min(...covered);
      return least === 0 || mayCover ? open[covered.indexOf(least)] : undefined;
    }
    const pointed = [chosen, hovered].filter((number) => number >= 0);
    const order = [...new Set([...pointed, ...importance.filter((number) => marked.has(number)), ...importance])];
    order.forEach((number, place) => {
      const wanted = pointed.includes(number);
      const dim = (marked.size > 0 || chosen >= 0) && !wanted && !marked.has(number);
      const box = dim ? undefined : placeFor(number, place < ALWAYS_LABELLED) ?? (wanted ? places(number)[0] : undefined);
      shapes[number].classList.toggle("unlabelled", !box);
      if (!box) return;
      boxes.set(number, box);
      const text = shapes[number].lastChild;
      text.setAttribute("x", (box[0] - points[number][0]).toFixed(1));
      text.setAttribute("y", (box[3] - 4 - points[number][1]).toFixed(1));
    });
  }

  function update() {
    const size = Math.min(1, Math.max(SMALLEST_SIZE, Math.sqrt(view.scaleX * view.scaleY) / ROOMY_SCALE));
    radius = fullRadius.map((full) => full * size);
    points = nodes.map((node) => [node.x * view.scaleX + view.left, node.y * view.scaleY + view.top]);
    lines.forEach((line, number) => {
      const [one, other] = edges[number].ends.map((end) => points[end]);
      line.setAttribute("x1", one[0].toFixed(1)); line.setAttribute("y1", one[1].toFixed(1));
      line.setAttribute("x2", other[0].toFixed(1)); line.setAttribute("y2", other[1].toFixed(1));
    });
    shapes.forEach((shape, number) => {
      shape.setAttribute("transform", `translate(${points[number].map((c) => c.toFixed(1)).join(" ")})`);
      shape.firstChild.setAttribute("r", radius[number].toFixed(1));
    });
    placeLabels();
  }

  function fit() {
    const { width, height } = svg.getBoundingClientRect();
    if (!nodes.length || !width || !height) return;
    const xs = nodes.map((node) => node.x), ys = nodes.map((node) => node.y);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const scaleX = (width - 2 * Math.min(60, width / 8)) / (right - left || 1), scaleY = (height - 90) / (bottom - top || 1);
    view.scaleX = Math.min(scaleX, MOST_STRETCHED * scaleY, LARGEST_SCALE);
    view.scaleY = Math.min(scaleY, MOST_STRETCHED * scaleX, LARGEST_SCALE);
    view.left = width / 2 - view.scaleX * (left + right) / 2;
    view.top = (height - 20) / 2 - view.scaleY * (top + bottom) / 2;
    view.touched = false;
    update();
  }

  function zoom(factor, x, y) {
    const bounded = Math.min(2000, Math.max(3, view.scaleX * factor)) / view.scaleX;
    view.left = x - (x - view.left) * bounded;
    view.top = y - (y - view.top) * bounded;
    view.scaleX *= bounded; view.scaleY *= bounded;
    view.touched = true;
    update();
  }

  // Brings a node into the picture where it is outside.
  function reveal(number) {
    const { width, height } = svg.getBoundingClientRect();
    const [x, y] = points[number], margin = Math.min(40, width / 4, height / 4);
    const shift = (at, size) => Math.max(margin - at, 0) + Math.min(size - margin - at, 0);
    view.left += shift(x, width); view.top += shift(y, height);
    update();
  }

  // What lies under a point of the screen: the nearest circle within reach, else a label, else an edge.
  function under(x, y, reach) {
    let best = -1, least = Infinity;
    points.forEach(([px, py], number) => {
      const away = Math.hypot(px - x, py - y) - radius[number];
      if (away < reach && away < least) { best = number; least = away; }
    });
    if (best < 0) best = [...boxes].find(([, box]) => overlap(box, [x, y, x, y]))?.[0] ?? -1;
    if (best >= 0) return { node: best, edge: -1 };
    let edge = -1, nearest = EDGE_PIXELS;
    edges.forEach(({ ends }, number) => {
      const [[x1, y1], [x2, y2]] = ends.map((end) => points[end]);
      const length = (x2 - x1) ** 2 + (y2 - y1) ** 2 || 1;
      const along = Math.min(1, Math.max(0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length));
      const away = Math.hypot(x1 + along * (x2 - x1) - x, y1 + along * (y2 - y1) - y);
      if (away < nearest) { edge = number; nearest = away; }
    });
    return { node: -1, edge };
  }

  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const reachOf = (event) => (event.pointerType === "mouse" ? MOUSE_PIXELS : TOUCH_PIXELS);

  function hover(number, edge) {
    svg.classList.toggle("pointing", number >= 0 || edge >= 0);
    lines.forEach((line, other) => line.classList.toggle("hovered", other === edge));
    if (number === hovered) return;
    shapes[hovered]?.classList.remove("hovered");
    hovered = number;
    shapes[hovered]?.classList.add("hovered");
    placeLabels();
  }

  // Pointers: one drags the paper or a node, two pinch.
  const pointers = new Map();
  let held = { node: -1, edge: -1 }, moved = 0;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) {
      held = under(...place(event), reachOf(event));
      moved = 0;
    } else moved = Infinity;
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), [x, y] = place(event);
    if (!before) {
      const { node, edge } = under(x, y, reachOf(event));
      hover(node, edge);
      return;
    }
    moved = Math.max(moved, Math.hypot(x - before[0], y - before[1]));
    if (pointers.size === 1 && moved < 6) return;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, [x, y]);
    view.touched = true;
    svg.classList.add("dragging");
    if (other) {
      const length = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
      zoom(length([x, y]) / length(before), other[0], other[1]);
    } else if (held.node >= 0 && moved !== Infinity) {
      nodes[held.node].x += (x - before[0]) / view.scaleX;
      nodes[held.node].y += (y - before[1]) / view.scaleY;
      update();
    } else {
      view.left += x - before[0]; view.top += y - before[1];
      update();
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, (event) => {
      if (!pointers.delete(event.pointerId) || pointers.size) return;
      svg.classList.remove("dragging");
      if (name === "pointercancel" || moved >= 6) return;
      if (held.node >= 0) on.node(held.node);
      else if (held.edge >= 0) on.edge(held.edge);
      else on.paper();
    });
  }
  svg.addEventListener("pointerleave", () => { if (!pointers.size) hover(-1, -1); });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) / 400), ...place(event));
  }, { passive: false });

  // Keys: one stop for Tab, arrows go to the nearest node that way.
  let stop = importance[0] ?? -1;
  function stopAt(number) {
    shapes[stop]?.setAttribute("tabindex", "-1");
    stop = number;
    shapes[stop]?.setAttribute("tabindex", "0");
  }
  stopAt(stop);
  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  function nodeTowards(number, [dx, dy]) {
    const away = (other) => {
      const x = points[other][0] - points[number][0], y = points[other][1] - points[number][1];
      const along = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
      return along > 0 && aside <= 2 * along ? along + 2 * aside : Infinity;
    };
    return nodes.map((_, other) => other).reduce((best, other) => (away(other) < away(best) ? other : best), number);
  }
  shapes.forEach((shape, number) => {
    shape.addEventListener("focus", () => { stopAt(number); if (shape.matches(":focus-visible")) { reveal(number); hover(number, -1); } });
    shape.addEventListener("blur", () => hover(-1, -1));
    shape.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); on.node(number); }
      if (event.key in ARROWS) { event.preventDefault(); shapes[nodeTowards(number, ARROWS[event.key])].focus(); }
    });
  });

  const middle = (factor) => () => { const { width, height } = svg.getBoundingClientRect(); zoom(factor, width / 2, height / 2); };
  new ResizeObserver(() => {
    const { width, height } = svg.getBoundingClientRect();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);  // paper is not so wide: there the whole is scaled
    if (view.touched) update();
    else fit();
  }).observe(svg);

  return {
    importance, fit, zoomIn: middle(1.4), zoomOut: middle(1 / 1.4), reveal,
    // Shows these nodes and edges, dims the rest; empty sets show all alike.
    highlight(nodesMarked, edgesMarked, first = -1) {
      chosen = first; marked = nodesMarked;
      svg.classList.toggle("focused", nodesMarked.size > 0 || first >= 0);
      shapes.forEach((shape, number) => {
        shape.classList.toggle("near", nodesMarked.has(number));
        shape.classList.toggle("chosen", number === first);
      });
      lines.forEach((line, number) => line.classList.toggle("near", edgesMarked.has(number)));
      if (first >= 0) stopAt(first);
      if (points.length) placeLabels();
    },
  };
}
