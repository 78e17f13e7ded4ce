// Every method on one photograph: a square under the loupe, a divider, and weights in between.

/** Luma of one pixel as `srkit.metrics.luma` has it: ITU-R BT.601, 16 to 235. */
const luma = (p, i) => 16 + (65.481 * p[i] + 128.553 * p[i + 1] + 24.966 * p[i + 2]) / 255;

const whole = (value) => Math.round(value).toLocaleString("en");

const decibels = (value) => value === null ? "" : isFinite(value) ? `${value.toFixed(2)} dB` : "equal";

/** A picture's pixels, to be drawn from and measured: { canvas, pixels, width, height }. */
async function decode(src) {
  const image = new Image();
  image.src = src;
  await image.decode();
  const canvas = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { width, height } = canvas;
  return { canvas, width, height, pixels: context.getImageData(0, 0, width, height).data };
}

/** PSNR (Y) of a square of two pictures of one size. */
function squarePsnr(a, b, box) {
  let sum = 0;
  for (let y = box.y; y < box.y + box.side; y++) {
    for (let x = box.x; x < box.x + box.side; x++) {
      const i = 4 * (y * a.width + x);
      sum += (luma(a.pixels, i) - luma(b.pixels, i)) ** 2;
    }
  }
  return sum ? 10 * Math.log10((255 ** 2 * box.side ** 2) / sum) : Infinity;
}

/** Draw a part of a picture over a whole canvas, pixel by pixel. */
function magnify(canvas, picture, x, y, width, height = width) {
  const context = fit(canvas, height / width);
  context.imageSmoothingEnabled = false;
  context.drawImage(picture.canvas, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return context;
}

/** A canvas's context, with as many pixels as the screen has under it. */
function fit(canvas, ratio) {
  const width = Math.max(1, Math.round((canvas.clientWidth || 160) * (devicePixelRatio || 1)));
  const height = Math.round(width * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

/** Tabs by their labels, moved through with the arrow keys: { list, panels, offer(name, whether) }. */
function tabs(label, contents, shown) {
  const names = Object.keys(contents), chosen = (button) => button.getAttribute("aria-selected") === "true";
  const buttons = names.map((name) => el("button", { role: "tab", onclick: () => choose(name) }, name));
  const panels = names.map((name) => el("div", { role: "tabpanel", "aria-label": name }, contents[name]));
  const list = el("div", { role: "tablist", "aria-label": label, onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const offered = buttons.filter((button) => !button.hidden), at = offered.findIndex(chosen);
    const next = offered[(at + step + offered.length) % offered.length];
    choose(next.textContent);
    next.focus();
    event.preventDefault();
  } }, ...buttons);
  function choose(name) {
    names.forEach((other, i) => {
      buttons[i].setAttribute("aria-selected", other === name);
      buttons[i].tabIndex = other === name ? 0 : -1;
      panels[i].hidden = other !== name;
    });
    shown(name);
  }
  function offer(name, whether) {
    const button = buttons[names.indexOf(name)];
    if (!button) return;
    button.hidden = !whether;
    if (!whether && chosen(button)) choose(names[0]);
  }
  choose(names[0]);
  return { list, panels, offer };
}

/** PSNR of the square and of the whole picture, on two lines. */
function inTwo(here, whole) {
  return [el("span", {}, `${here} here`), el("br"), `${whole} in all`];
}

function dot(tint) {
  return el("span", { class: "dot", style: `--tint:${tint}` });
}

/** One method's square, its name and its numbers: { node, draw }. */
function tile(method, scene) {
  const canvas = el("canvas", { role: "img", "aria-label": `${method.label}, the square enlarged` });
  const numbers = el("span", { class: "numbers" });
  const save = el("a", { href: method.src, download: method.file, "aria-label": `Save ${method.label}'s whole picture` }, "Save");
  const title = el("strong", {}, dot(method.colour), method.label);
  const node = el("figure", {}, canvas, el("figcaption", {}, title, save, numbers));
  function draw() {
    const { box, hr } = scene, zoom = method.picture.width / scene.width;
    magnify(canvas, method.picture, box.x * zoom, box.y * zoom, box.side * zoom);
    const measured = hr && zoom === 1 && method.picture !== hr;
    numbers.replaceChildren(...measured
      ? inTwo(decibels(squarePsnr(method.picture, hr, box)), decibels(method.psnr))
      : [`${method.picture.width} × ${method.picture.height} pixels`]);
  }
  return { node, draw };
}

/** The photograph with its square. */
function photograph(scene, moved) {
  const canvas = el("canvas", {
    class: "move photo", tabindex: 0, role: "application", "aria-roledescription": "movable square",
    "aria-label": "Photograph with a square: drag it, or use the arrow keys",
  });
  const place = el("p", { class: "note", "aria-live": "polite" });
  const size = slider("Square", { min: 16, max: 128, step: 8, value: scene.box.side, say: (n) => `${n} pixels` }, (side) => {
    const { x, y, side: old } = scene.box;
    put(x + (old - side) / 2, y + (old - side) / 2, side);
  });
  function put(x, y, side = scene.box.side) {
    const step = scene.scale, most = Math.min(scene.width, scene.height);
    side = Math.min(side, most);
    const snap = (value, end) => clamp(Math.round(value / step) * step, 0, Math.floor((end - side) / step) * step);
    scene.box = { x: snap(x, scene.width), y: snap(y, scene.height), side };
    size.set(side);
    moved();
  }
  dragging(canvas, (event) => {
    const frame = canvas.getBoundingClientRect(), zoom = scene.width / frame.width, half = scene.box.side / 2;
    put((event.clientX - frame.left) * zoom - half, (event.clientY - frame.top) * zoom - half);
  });
  canvas.addEventListener("keydown", (event) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    const step = event.shiftKey ? scene.scale : 8;
    if (!x && !y) return;
    put(scene.box.x + x * step, scene.box.y + y * step);
    event.preventDefault();
  });
  function draw() {
    const { box } = scene, picture = scene.hr ?? scene.methods[0].picture;
    const context = fit(canvas, scene.height / scene.width), zoom = canvas.width / scene.width;
    context.imageSmoothingEnabled = true;
    context.drawImage(picture.canvas, 0, 0, canvas.width, canvas.height);
    const line = Math.max(2, canvas.width / 200);
    for (const [colour, width] of [["#000000aa", line * 2], ["#ffd400", line]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(box.x * zoom, box.y * zoom, box.side * zoom, box.side * zoom);
    }
    place.textContent = `Square at ${box.x}, ${box.y}`;
  }
  const node = el("div", { class: "column photo" }, canvas, size.node, place);
  return { node, draw, put };
}

/** Two methods on either side of a line that one drags. */
function divider(scene) {
  const view = { at: 0.5, zoom: 1, x: 0, y: 0 };
  const choice = (label) => el("select", { "aria-label": label, onchange: draw });
  const left = choice("Left of the line"), right = choice("Right of the line");
  const stage = el("canvas", {
    class: "stage", tabindex: 0, role: "slider", "aria-label": "Dividing line",
    "aria-valuemin": 0, "aria-valuemax": 100,
  });
  const flip = el("button", { onclick: swap, "aria-keyshortcuts": "F", title: "or press F" }, "Flip");
  const zoom = slider("Zoom", { min: 0, max: 4, value: 0, say: (n) => `${2 ** n}×` }, (n) => magnifyTo(2 ** n));
  const options = () => {
    const bicubic = scene.methods.findIndex((m) => m.name === "bicubic");
    for (const [select, fallback] of [[left, Math.max(0, bicubic)], [right, scene.methods.length - 1]]) {
      const before = select.value;
      select.replaceChildren(...scene.methods.map((m) => el("option", { value: m.name }, m.label)));
      const at = scene.methods.findIndex((m) => m.name === before);
      select.selectedIndex = at < 0 ? fallback : at;
    }
  };
  function swap() {
    [left.value, right.value] = [right.value, left.value];
    draw();
  }
  /** Zoom about the middle of what is seen, or another point of the photograph. */
  function magnifyTo(to, px, py) {
    const seen = scene.width / view.zoom, tall = scene.height / view.zoom;
    const fx = px ?? 0.5, fy = py ?? 0.5;
    view.x += fx * (seen - scene.width / to);
    view.y += fy * (tall - scene.height / to);
    view.zoom = to;
    draw();
  }
  function draw() {
    const [a, b] = [left, right].map((select) => scene.methods.find((m) => m.name === select.value));
    if (!a?.picture || !b?.picture) return;
    stage.style.maxWidth = `${Math.round((600 * scene.width) / scene.height)}px`;
    const context = fit(stage, scene.height / scene.width), { width, height } = stage;
    const w = scene.width / view.zoom, h = scene.height / view.zoom;
    view.x = clamp(view.x, 0, scene.width - w);
    view.y = clamp(view.y, 0, scene.height - h);
    context.imageSmoothingEnabled = false;
    const cut = Math.round(view.at * width);
    for (const [method, from, to] of [[a, 0, cut], [b, cut, width]]) {
      if (to <= from) continue;
      const k = method.picture.width / scene.width;
      context.save();
      context.beginPath();
      context.rect(from, 0, to - from, height);
      context.clip();
      context.drawImage(method.picture.canvas, view.x * k, view.y * k, w * k, h * k, 0, 0, width, height);
      context.restore();
    }
    context.fillStyle = "#ffd400";
    context.fillRect(cut - 1, 0, Math.max(2, devicePixelRatio), height);
    context.beginPath();
    context.arc(cut, height / 2, 9 * devicePixelRatio, 0, 7);
    context.fill();
    chip(context, a, 10, "left");
    chip(context, b, width - 10, "right");
    stage.setAttribute("aria-valuenow", Math.round(100 * view.at));
    stage.setAttribute("aria-valuetext", `${a.label} left of ${Math.round(100 * view.at)} %, ${b.label} right of it, zoom ${view.zoom}`);
  }
  function chip(context, method, x, side) {
    const unit = devicePixelRatio || 1;
    context.font = `600 ${13 * unit}px system-ui, sans-serif`;
    const wide = context.measureText(method.label).width + 30 * unit;
    const from = side === "left" ? x : x - wide;
    context.fillStyle = "#000000b3";
    context.beginPath();
    context.roundRect(from, 10 * unit, wide, 26 * unit, 6 * unit);
    context.fill();
    context.fillStyle = method.colour;
    context.strokeStyle = "#ffffff";
    context.beginPath();
    context.arc(from + 13 * unit, 23 * unit, 4.5 * unit, 0, 7);
    context.fill();
    context.stroke();
    context.fillStyle = "#ffffff";
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillText(method.label, from + 22 * unit, 23.5 * unit);
  }
  let grip = null;
  dragging(stage, (event, first) => {
    const frame = stage.getBoundingClientRect(), x = (event.clientX - frame.left) / frame.width;
    if (first) grip = { line: view.zoom === 1 || Math.abs(x - view.at) * frame.width < 24, x: event.clientX, y: event.clientY };
    if (grip.line) view.at = clamp(x, 0, 1);
    else {
      const unit = scene.width / view.zoom / frame.width;
      view.x -= (event.clientX - grip.x) * unit;
      view.y -= (event.clientY - grip.y) * unit;
      Object.assign(grip, { x: event.clientX, y: event.clientY });
    }
    draw();
  });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // a pinch on a trackpad; the wheel alone scrolls the page
    const frame = stage.getBoundingClientRect(), to = clamp(view.zoom * (event.deltaY < 0 ? 2 : 0.5), 1, 16);
    zoom.set(Math.log2(to));
    magnifyTo(to, (event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
    event.preventDefault();
  }, { passive: false });
  const keys = {
    ArrowLeft: () => { view.at -= 0.02; }, ArrowRight: () => { view.at += 0.02; },
    Home: () => { view.at = 0; }, End: () => { view.at = 1; },
    "+": () => zoomBy(1), "-": () => zoomBy(-1),
  };
  const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  function zoomBy(step) {
    const to = clamp(Math.log2(view.zoom) + step, 0, 4);
    zoom.set(to);
    magnifyTo(2 ** to);
  }
  stage.addEventListener("keydown", (event) => {
    const [x, y] = pan[event.key] ?? [0, 0];
    if (event.shiftKey && (x || y)) {
      view.x += (x * scene.width) / view.zoom / 16;
      view.y += (y * scene.height) / view.zoom / 16;
    } else if (keys[event.key]) keys[event.key]();
    else return;
    view.at = clamp(view.at, 0, 1);
    draw();
    event.preventDefault();
  });
  const node = el("div", { class: "column", onkeydown: (event) => {
    if (event.key.toLowerCase() === "f" && !event.ctrlKey && !event.metaKey && event.target.tagName !== "SELECT") swap();
  } },
    el("div", { class: "bar" }, left, flip, right, el("div", { class: "push" }, zoom.node)),
    stage,
    el("p", { class: "note" }, "Drag the line; once zoomed, drag elsewhere to move the picture. Keys: arrows, F to flip, + and − to zoom, Shift with arrows to move."));
  return { node, draw, options, stage };
}

/** Weights between two networks, and where the mixture lies in PSNR and patch distance. */
function between(scene, kernel, busy) {
  const made = new Map(), shown = { t: 0.5, asked: null, next: null };
  const control = slider("Weights", { min: 0, max: 1, step: 0.05, value: 0.5, say: (t) => `${Math.round(100 * t)} % SRGAN` }, go);
  const canvas = el("canvas", { role: "img", "aria-label": "The square, by the network in between" });
  const numbers = el("span", { class: "numbers" });
  const plot = svg("svg", { class: "plot", viewBox: "0 0 420 300", role: "img" });
  const legend = el("div", { class: "legend" });
  const figure = el("figure", {}, canvas, el("figcaption", {}, el("strong", {}, "In between"), numbers));
  const ends = [];
  const three = el("div", { class: "three" });
  const note = el("p", { class: "note" });
  const node = el("div", { class: "column" }, control.node, el("div", { class: "split even" }, el("div", { class: "column" }, plot, legend), el("div", { class: "column" }, three, note)));
  function load(blend) {
    made.clear();
    for (const one of blend?.made ?? []) made.set(one.t, one);
    ends.splice(0, ends.length, ...(blend?.ends ?? []).map((name) => scene.methods.find((m) => m.name === name)).filter(Boolean).map((m) => tile(m, scene)));
    three.replaceChildren(...(ends.length === 2 ? [ends[0].node, figure, ends[1].node] : [figure]));
    go(Number(control.input.value));
  }
  const nearest = (t) => [...made.keys()].reduce((a, b) => Math.abs(b - t) < Math.abs(a - t) ? b : a, Infinity);
  function go(t) {
    shown.t = t;
    if (!made.size) return;
    if (!made.has(t) && kernel.live) {
      if (shown.asked !== null) shown.next = t; // the newest wish waits, older ones are dropped
      else ask(t);
    }
    draw();
  }
  function ask(t) {
    shown.asked = t;
    shown.next = null;
    busy(`mixing the weights at ${Math.round(100 * t)} %`);
    kernel.send({ ask: "blend", t, scene: scene.id });
  }
  async function answer(one) {
    one.picture = await decode(one.src);
    if (one.scene === scene.id) made.set(one.t, one);
    shown.asked = null;
    busy("");
    if (shown.next !== null && !made.has(shown.next)) ask(shown.next);
    draw();
  }
  function draw() {
    if (!made.size || !node.offsetParent) return;
    const one = made.get(nearest(shown.t)), { box } = scene;
    ends.forEach((end) => end.draw());
    magnify(canvas, one.picture, box.x, box.y, box.side);
    numbers.replaceChildren(...inTwo(decibels(squarePsnr(one.picture, scene.hr, box)), decibels(one.psnr)));
    note.textContent = one.t === shown.t ? `Patch distance ${whole(one.distance)}`
      : kernel.live ? "" : `Shown at ${Math.round(100 * one.t)} %, the nearest that was made; a kernel makes those between.`;
    drawPlot(plot, legend, scene, [...made.values()].sort((a, b) => a.t - b.t), one);
  }
  return { node, draw, load, answer };
}

function drawPlot(plot, legend, scene, path, one) {
  const measured = scene.methods.filter((m) => m.distance !== undefined && m.distance !== null);
  const middle = measured.map((m) => m.distance).sort((a, b) => a - b)[Math.floor(measured.length / 2)];
  const near = (method) => method.distance < 5 * middle; // a network trained for a minute would squeeze the others
  const points = measured.filter(near), beyond = measured.filter((method) => !near(method));
  const all = [...points, ...path], [L, R, T, B] = [70, 404, 34, 254];
  const range = (values) => { const [a, b] = [Math.min(...values), Math.max(...values)], edge = 0.1 * (b - a || 1); return [a - edge, b + edge]; };
  const [x0, x1] = range(all.map((p) => p.psnr)), [y0, y1] = range(all.map((p) => p.distance));
  const x = (p) => L + ((p.psnr - x0) / (x1 - x0)) * (R - L), y = (p) => B - ((p.distance - y0) / (y1 - y0)) * (B - T);
  plot.setAttribute("aria-label", `PSNR against patch distance; in between at ${one.psnr.toFixed(2)} dB and ${one.distance.toFixed(0)}`);
  const children = [svg("path", { class: "axis", d: `M${L} ${T}V${B}H${R}` })];
  const say = (text, at) => { const node = svg("text", at); node.textContent = text; children.push(node); };
  say("PSNR (dB): right is nearer to the photograph", { x: (L + R) / 2, y: 292, "text-anchor": "middle" });
  say("patch distance: lower is better", { x: 8, y: 16 });
  for (const psnr of ticks(x0, x1, 6)) say(psnr, { x: x({ psnr }), y: B + 18, "text-anchor": "middle" });
  for (const distance of ticks(y0, y1, 5)) say(whole(distance), { x: L - 8, y: y({ distance }) + 4, "text-anchor": "end" });
  children.push(svg("polyline", { class: "axis", "stroke-dasharray": "3 3", points: path.map((p) => `${x(p)},${y(p)}`).join(" ") }));
  for (const method of points) {
    children.push(svg("circle", { cx: x(method), cy: y(method), r: 5, fill: method.colour, stroke: "var(--ground)" }));
  }
  legend.replaceChildren(...points.map((m) => el("span", {}, dot(m.colour), m.label)));
  if (beyond.length) say(`far above: ${beyond.map((m) => m.label).join(", ")}`, { x: R, y: T + 4, "text-anchor": "end" });
  children.push(svg("circle", { class: "you", cx: x(one), cy: y(one), r: 8 }));
  plot.replaceChildren(...children);
}

/** The button for a photograph of one's own; it goes to the kernel no larger than can be waited for. */
function upload(scene, kernel, busy, most) {
  const mode = el("select", { "aria-label": "What to do with it" },
    el("option", { value: "compare" }, "shrink and compare"), el("option", { value: "enlarge" }, "enlarge"));
  const file = el("input", { type: "file", accept: "image/*", "aria-label": "Your photograph", hidden: true, onchange: send });
  const button = el("button", { onclick: () => file.click() }, "Your photo…");
  const node = el("div", { class: "bar push" }, button, mode, file);
  async function send() {
    const [chosen] = file.files;
    file.value = "";
    if (!chosen) return;
    let image;
    try { image = await createImageBitmap(chosen); } catch {
      return busy("", `${chosen.name} is no picture that this browser can read; save it as PNG or JPEG`);
    }
    const side = mode.value === "compare" ? most : most / scene.scale;
    const shrink = Math.min(1, side / Math.max(image.width, image.height));
    const size = [image.width, image.height].map((n) => Math.max(scene.scale * 16, Math.round(n * shrink)));
    const canvas = el("canvas", { width: size[0], height: size[1] }), context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, ...size);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    scene.request = (scene.request ?? 0) + 1;
    const told = shrink < 1 ? `, first made ${size[0]} × ${size[1]} to be quick` : "";
    busy(`working on ${chosen.name}${told}`);
    kernel.send({ ask: "photo", mode: mode.value, name: chosen.name.replace(/\.[^.]*$/, ""), request: scene.request }, await blob.arrayBuffer());
  }
  return { node, enable: (on) => { node.hidden = !on; } };
}

function viewer(data, kernel) {
  const scene = { methods: [], box: { x: 0, y: 0, side: data.side }, scale: data.scale };
  const status = el("p", { class: "status", role: "status" });
  const busy = (text, error = "") => {
    status.textContent = error || (text ? `${text} …` : "");
    status.className = error ? "status error" : text ? "status busy" : "status";
  };
  const redraw = () => {
    if (split.node.offsetParent) split.draw();
    else if (mix.node.offsetParent) mix.draw();
    else [photo, ...tiles].forEach((one) => one.draw());
  };
  let waiting = false, tiles = [];
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; if (scene.methods.length) redraw(); });
  };
  const photo = photograph(scene, later), grid = el("div", { class: "tiles" });
  const split = divider(scene), mix = between(scene, kernel, busy), own = upload(scene, kernel, busy, data.most);
  const contents = { Loupe: el("div", { class: "split" }, photo.node, grid), Divider: split.node };
  if (data.blend) contents["In between"] = mix.node;
  const { list, panels, offer } = tabs("Ways to compare", contents, later);
  const page = el("div", { class: "page", role: "group", "aria-label": data.title }, el("div", { class: "bar" }, list, own.node), ...panels, status);

  async function load(fresh) {
    await Promise.all(fresh.methods.map(async (m) => { m.picture = await decode(m.src); }));
    for (const one of fresh.blend?.made ?? []) one.picture = await decode(one.src);
    scene.methods = fresh.methods;
    Object.assign(scene, { id: fresh.id, width: fresh.width, height: fresh.height, hr: fresh.methods.find((m) => m.name === "hr")?.picture ?? null });
    tiles = scene.methods.map((method) => tile(method, scene));
    grid.replaceChildren(...tiles.map((one) => one.node));
    split.options();
    mix.load(fresh.blend);
    offer("In between", fresh.blend); // measured against an HR, which an enlarged photograph lacks
    const [x, y] = fresh.at ?? [(scene.width - data.side) / 2, (scene.height - data.side) / 2];
    photo.put(x, y, data.side);
  }
  kernel.onchange = () => { own.enable(kernel.live); if (!kernel.live) busy(""); };
  kernel.onmessage = async (message) => {
    if (message.kind === "blend") await mix.answer(message);
    else if (message.request !== scene.request) return; // of a photograph that a newer one replaced
    else if (message.kind === "working") busy(message.text);
    else if (message.kind === "failed") busy("", message.text);
    else if (message.kind === "photo") { await load(message.data); busy(""); }
  };
  own.enable(kernel.live);
  new ResizeObserver(later).observe(page);
  load(data);
  return page;
}
