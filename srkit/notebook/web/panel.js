// A training with buttons: what is told of it, its curves, its samples, and weights to play with.

const SERIES = { mse: "", content: "6 4", adversarial: "2 3" }; // dashes of the loss terms

function panel(data, kernel) {
  const view = { ...data, sample: null };
  const status = el("p", { class: "status", role: "status" });
  const bar = el("div", { role: "progressbar", "aria-label": "Updates done", "aria-valuemin": 0 }, el("div"));
  const ask = (what, more = {}) => () => kernel.send({ ask: what, ...more });
  const go = el("button", { class: "main", onclick: ask("go") }, "Start");
  const pause = el("button", { onclick: ask("pause") }, "Pause");
  const stop = el("button", { onclick: ask("stop") }, "Stop");
  const buttons = el("div", { class: "bar" }, go, pause, stop);
  const quality = svg("svg", { class: "plot", viewBox: "0 0 440 250", role: "img" });
  const losses = svg("svg", { class: "plot", viewBox: "0 0 440 250", role: "img" });
  const names = ["bicubic", "sample", "hr"], images = {}, captions = {};
  const three = el("div", { class: "three" }, ...names.map((name) => {
    images[name] = el("img", { alt: name });
    captions[name] = el("figcaption", {}, el("strong", {}, { bicubic: "Bicubic", sample: "", hr: "HR" }[name]));
    return el("figure", {}, images[name], captions[name]);
  }));
  const through = slider("Sample", { min: 0, max: 0, value: 0, say: (n) => view.samples[n]?.[0] ?? "none yet" }, (n) => {
    view.sample = n === view.samples.length - 1 ? null : n; // the newest one follows the training
    drawSamples();
  });
  const pictures = el("div", { class: "column" }, three, through.node);
  const weights = Object.entries(data.weights).map(([name, value]) => weightSlider(name, value));
  const again = el("button", { onclick: () => kernel.send({
    ask: "play", weights: Object.fromEntries(weights.map((one) => [one.name, one.value()])),
  }) }, "Train anew with these weights");
  const play = el("div", { class: "column", role: "group", "aria-label": "Weights of the loss" },
    el("p", { class: "note" }, "Your own equation (5): set the weights and train once more beside the run above, dashed in the curves."),
    el("div", { class: "weights" }, ...weights.map((one) => one.node)), el("div", { class: "bar" }, again));

  const rows = () => view.runs[view.part] ?? [];
  const state = () => view.state.split(":")[0];
  function drawState() {
    const now = state(), busy = now === "training", step = rows().at(-1)?.step ?? 0;
    const words = { ready: "ready", training: "training", paused: "paused", stopped: "stopped and saved", finished: "finished" };
    status.textContent = `${view.part ? "your weights, " : ""}${words[now] ?? view.state} · ${view.progress}`;
    status.className = now === "failed" ? "status error" : busy ? "status busy" : "status";
    bar.setAttribute("aria-valuemax", view.total);
    bar.setAttribute("aria-valuenow", step);
    bar.firstChild.style.width = `${(100 * step) / view.total}%`;
    go.textContent = now === "ready" ? "Start" : "Go on";
    go.disabled = !kernel.live || busy || now === "finished";
    pause.disabled = !kernel.live || !busy;
    stop.disabled = !kernel.live || !(busy || now === "paused");
    again.disabled = !kernel.live || busy || now === "paused";
    buttons.hidden = play.hidden = !kernel.live;
  }
  function drawCurves() {
    const runs = Object.entries(view.runs).map(([part, list]) => ({ part, list }));
    const reached = Math.max(0, ...runs.map(({ list }) => list.at(-1)?.step ?? 0));
    const end = Math.min(view.total, 4 * reached || view.total); // a long training's beginning is seen, too
    chart(quality, "Held-out PSNR (dB)", runs.map(({ part, list }) => ({
      tint: data.colour, dash: part ? "6 4" : "", points: list.filter((r) => r.psnr !== undefined).map((r) => [r.step, r.psnr]),
    })), end, { level: view.baseline, name: "bicubic" });
    chart(losses, "Loss terms (log): MSE, content - -, adv. · ·", Object.entries(SERIES).map(([name, dash]) => ({
      tint: data.colour, dash, points: rows().filter((r) => r[name] > 0).map((r) => [r.step, Math.log10(r[name])]),
    })), end);
  }
  function drawSamples() {
    pictures.hidden = !view.samples.length;
    if (!view.samples.length) return;
    const n = view.sample ?? view.samples.length - 1, [name, src] = view.samples[n];
    Object.assign(through.input, { max: view.samples.length - 1 });
    through.set(n);
    Object.assign(images.sample, { src, alt: `The held-out crop at ${name}` });
    captions.sample.firstChild.textContent = name;
    for (const other of ["bicubic", "hr"]) if (view[other]) Object.assign(images[other], { src: view[other], alt: captions[other].textContent });
  }
  const draw = () => { drawState(); drawCurves(); drawSamples(); };

  kernel.onchange = () => { if (kernel.live) kernel.send({ ask: "all" }); drawState(); };
  kernel.onmessage = (message) => {
    if (message.all) Object.assign(view, message.all);
    else {
      if (message.part !== view.part) Object.assign(view, { samples: [], sample: null });
      Object.assign(view, { state: message.state, progress: message.progress, part: message.part });
      if (message.row) {
        const list = (view.runs[view.part] ??= []).filter((r) => r.step < message.row.step);
        view.runs[view.part] = [...list, message.row];
      }
      if (message.sample) {
        view.samples = [...view.samples.filter(([name]) => name !== message.sample[0]), message.sample];
        Object.assign(view, { hr: message.hr, bicubic: message.bicubic });
      }
    }
    draw();
  };
  draw();
  return el("div", { class: "page", role: "group", "aria-label": data.title },
    el("div", { class: "column" }, el("div", { class: "bar" }, status, el("div", { class: "push" }, buttons)), bar),
    el("div", { class: "plots" }, quality, losses), pictures, play);
}

/** A number as it fits beside a slider or an axis. */
function short(value) {
  return value === 0 || value >= 0.01 ? String(Number(value.toPrecision(2))) : value.toExponential(0).replace("e-", "e−");
}

/** A weight from 0 to 100 in steps of a factor; the far left is 0. */
function weightSlider(name, start) {
  const of = (n) => n === 0 ? 0 : 10 ** (-6 + (n - 1) / 2);
  const nearest = start === 0 ? 0 : Math.round(2 * (Math.log10(start) + 6)) + 1;
  const say = (n) => short(of(n));
  const label = { mse: "MSE", content: "content", adversarial: "adversarial" }[name] ?? name;
  const one = slider(label, { min: 0, max: 17, value: clamp(nearest, 0, 17), say }, () => {});
  return { name, node: one.node, value: () => of(Number(one.input.value)) };
}

/** A small line chart against the update, with one level drawn across. */
function chart(node, title, lines, total, level = null) {
  const [L, R, T, B] = [46, 430, 26, 214], values = lines.flatMap((line) => line.points.map((p) => p[1]));
  if (level?.level) values.push(level.level);
  let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  const edge = 0.08 * (high - low || 1);
  [low, high] = [low - edge, high + edge];
  const x = (step) => L + (step / total) * (R - L), y = (v) => B - ((v - low) / (high - low)) * (B - T);
  const write = (text, at) => { const one = svg("text", at); one.textContent = text; return one; };
  const log = title.includes("log"), say = (v) => log ? short(10 ** v) : v;
  node.setAttribute("aria-label", `${title} against the update`);
  const children = [write(title, { class: "title", x: L - 40, y: 14 }), svg("path", { class: "axis", d: `M${L} ${T}V${B}H${R}` })];
  for (const v of log ? logTicks(low, high) : ticks(low, high, 5)) children.push(write(say(v), { x: L - 6, y: y(v) + 4, "text-anchor": "end" }));
  for (const f of [0, 0.5, 1]) {
    const update = `${f === 1 ? "update " : ""}${Math.round(f * total).toLocaleString("en")}`;
    children.push(write(update, { x: x(f * total), y: B + 18, "text-anchor": f === 1 ? "end" : "middle" }));
  }
  if (level?.level) {
    children.push(svg("path", { d: `M${L} ${y(level.level)}H${R}`, stroke: "#5b7aa9", "stroke-dasharray": "5 4", fill: "none" }));
    children.push(write(level.name, { x: R, y: y(level.level) - 5, "text-anchor": "end" }));
  }
  for (const { tint, dash, points } of lines) {
    if (points.length === 1) children.push(svg("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 3, fill: tint }));
    children.push(svg("polyline", { class: "curve", stroke: tint, "stroke-dasharray": dash, points: points.map(([s, v]) => `${x(s)},${y(v)}`).join(" ") }));
  }
  node.replaceChildren(...children);
}

/** Powers of ten on an axis of logarithms; where these are few, with what lies between. */
function logTicks(low, high) {
  const from = Math.floor(low), powers = Array.from({ length: Math.ceil(high) - from }, (_, n) => from + n);
  const times = (digits) => powers.flatMap((p) => digits.map((d) => p + Math.log10(d))).filter((v) => v >= low && v <= high);
  return [[1], [1, 2, 5]].map(times).find((some) => some.length > 2) ?? times([1, 2, 3, 4, 5, 6, 7, 8, 9]);
}
