// Frames made beforehand, one for every position of a few sliders: pictures, or shapes in fixed axes.
// Some sliders are dragged in the frame itself.

// The drawing's width and edges, in pixels where the page has that much room: on a phone it has less.
const ROOMY = { left: 62, right: 748, top: 34, width: 760 }, NARROW = { left: 44, right: 352, top: 30, width: 360 };

function frames(data, kernel) {
  const at = data.controls.map((control) => control.start);
  const drawn = data.axes ? axesOf(data.axes) : el("img", { class: data.captions.length ? "frame pixels" : "frame", draggable: "false" });
  const node = data.axes ? drawn.node : drawn;
  const sliders = data.controls.map((control, n) => slider(control.label, {
    min: 0, max: control.values.length - 1, value: control.start, say: (i) => control.values[i],
  }, (i) => put(n, i)));
  function put(n, i) {
    at[n] = clamp(i, 0, data.controls[n].values.length - 1);
    sliders[n].set(at[n]);
    draw();
  }
  function draw() {
    const number = data.controls.reduce((sum, control, n) => sum * control.values.length + at[n], 0);
    const frame = data.frames[number];
    const setting = data.controls.map((c, n) => `${c.label} ${c.values[at[n]]}`).join(", ");
    if (data.axes) drawn.show(frame, `${data.title}: ${setting}; ${frame.title}`);
    else Object.assign(node, { src: frame, alt: `${data.title}: ${setting}` });
  }
  /** Where on an axis a pointer is, as a position of the slider that is dragged along it. */
  function place(event, axis) {
    const frame = node.getBoundingClientRect(), control = data.controls[data.drag[axis]];
    const share = axis ? (event.clientY - frame.top) / frame.height : (event.clientX - frame.left) / frame.width;
    const { length } = control.values;
    if (!data.axes) return Math.floor(share * length * (axis ? 1 : data.captions.length));
    const [low, high] = control.ends;
    return Math.round(((drawn.xOf(share) - low) / (high - low)) * (length - 1));
  }
  if (data.drag.length) {
    node.classList.add("move");
    node.setAttribute("tabindex", 0);
    dragging(node, (event) => data.drag.forEach((n, axis) => put(n, place(event, axis))));
    node.addEventListener("keydown", (event) => {
      const [axis, step] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] }[event.key] ?? [];
      if (data.drag[axis] === undefined) return;
      put(data.drag[axis], at[data.drag[axis]] + step);
      event.preventDefault();
    });
  }
  draw();
  const captions = el("div", { class: "captions" }, ...data.captions.map((text) => el("span", {}, text)));
  const wide = 290 * data.captions.length || 880;
  return el("div", { class: "page", role: "group", "aria-label": data.title },
    el("div", { class: "column", style: `max-width:${wide}px` }, node, drawn.legend ?? captions), el("div", { class: "sliders" }, ...sliders.map((one) => one.node)));
}

/** Fixed axes: { node, legend, show(frame, text), xOf(share of the width) }. */
function axesOf({ x, y, xlabel, ylabel, equal }) {
  const { left, right, top, width } = innerWidth < 700 ? NARROW : ROOMY, unit = (right - left) / (x[1] - x[0]);
  const bottom = equal ? top + unit * (y[1] - y[0]) : top + 240;
  const px = (value) => left + (value - x[0]) * unit;
  const tall = (bottom - top) / (y[1] - y[0]), py = (value) => bottom - (value - y[0]) * tall;
  const node = svg("svg", { class: "plot drawing", viewBox: `0 0 ${width} ${bottom + 46}`, role: "img" });
  const write = (text, attributes) => { const one = svg("text", attributes); one.textContent = text; return one; };
  const grid = [
    ...ticks(...x, 8).flatMap((v) => [svg("path", { class: "axis", d: `M${px(v)} ${top}V${bottom}` }), write(v, { x: px(v), y: bottom + 18, "text-anchor": "middle" })]),
    ...ticks(...y, 8).flatMap((v) => [svg("path", { class: "axis", d: `M${left} ${py(v)}H${right}` }), write(v, { x: left - 8, y: py(v) + 4, "text-anchor": "end" })]),
    write(xlabel, { x: (left + right) / 2, y: bottom + 40, "text-anchor": "middle" }),
    write(ylabel, { "text-anchor": "middle", transform: `translate(14 ${(top + bottom) / 2}) rotate(-90)` }),
  ];
  const clip = svg("clipPath", { id: "inside" }, svg("rect", { x: left, y: top, width: right - left, height: bottom - top }));
  const title = write("", { class: "title", x: left, y: 18 });
  const legend = el("div", { class: "legend" }), shapes = svg("g", { "clip-path": "url(#inside)" });
  node.append(clip, ...grid, shapes, title);
  const draw = {
    line: (tint, n) => svg("polyline", { class: "curve", stroke: tint, points: n.map((v, i) => i % 2 ? py(v) : px(v)).join(" ") }),
    dots: (tint, n) => svg("g", {}, ...n.flatMap((v, i) => i % 2 ? [] : [svg("circle", { class: "spot", cx: px(v), cy: py(n[i + 1]), r: 5, fill: tint })])),
    ellipse: (tint, [cx, cy, rx, ry, angle]) => svg("ellipse", {
      rx: rx * unit, ry: ry * tall, fill: tint, "fill-opacity": 0.22, stroke: tint,
      transform: `translate(${px(cx)} ${py(cy)}) rotate(${-angle})`,
    }),
  };
  function show(frame, text) {
    node.setAttribute("aria-label", text);
    title.textContent = frame.title;
    shapes.replaceChildren(...frame.shapes.map(([kind, tint, , numbers]) => draw[kind](tint, numbers)));
    const named = frame.shapes.filter(([, , label]) => label);
    legend.replaceChildren(...named.map(([, tint, label]) => el("span", {}, el("span", { class: "dot", style: `--tint:${tint}` }), label)));
  }
  return { node, legend, show, xOf: (share) => x[0] + (share * width - left) / unit };
}
