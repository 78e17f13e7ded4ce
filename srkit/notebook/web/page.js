// What every page begins with: its place in the document, its theme, its line to a kernel.

/** An element with attributes ("onclick" and the like are listeners) and children. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Round values between two, no more than about `most`, for an axis. */
function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((size) => size * power >= rough);
  const first = Math.ceil(low / step), count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

/** Whether what lies behind an element is dark: JupyterLab's theme, a site's, or the system's. */
function onDark(node) {
  for (let at = node; at; at = at.parentElement) {
    const [r, g, b, a = 1] = (getComputedStyle(at).backgroundColor.match(/[\d.]+/g) ?? []).map(Number);
    if (r !== undefined && a > 0.5) return 0.299 * r + 0.587 * g + 0.114 * b < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Keep an element's data-theme true to what lies behind it. */
function followTheme(host) {
  const look = () => host.isConnected && (host.dataset.theme = onDark(host.parentElement) ? "dark" : "light");
  look();
  requestAnimationFrame(look);
  const later = () => setTimeout(look, 150);
  const watch = new MutationObserver(later);
  for (const node of [document.documentElement, document.body]) watch.observe(node, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
}

/** The kernel behind a page: `live` once it has answered (a saved notebook may hold a model whose
    kernel is gone), `send` asks it, `onmessage` and `onchange` are told. */
function kernelOf(page) {
  const kernel = { onmessage() {}, onchange() {}, model: null, live: false };
  const heard = (message) => {
    if (!message.hello) return kernel.onmessage(message);
    kernel.live = true;
    kernel.onchange();
  };
  const look = () => {
    const model = globalThis.srkitLinks?.get(page) ?? null;
    if (model === kernel.model) return;
    kernel.model?.off("msg:custom", heard);
    Object.assign(kernel, { model, live: false });
    model?.on("msg:custom", heard);
    kernel.send({ ask: "hello" });
    kernel.onchange();
  };
  kernel.send = (message, ...buffers) => {
    try { kernel.model?.send(message, undefined, buffers); } catch { // the kernel was shut down
      kernel.live = false;
      kernel.onchange();
    }
  };
  kernel.look = look;
  window.addEventListener("srkit-link", (event) => event.detail === page && look());
  return kernel;
}

/** A labelled slider: { node, input, set }. `say` turns its value into words. */
function slider(label, { min, max, step = 1, value, say = String }, changed) {
  const output = el("output", {}, say(value));
  const input = el("input", { type: "range", min, max, step, value, "aria-label": label });
  const show = () => {
    output.textContent = say(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { show(); changed(Number(input.value)); });
  const set = (to) => { input.value = to; show(); };
  show();
  return { node: el("label", { class: "slider" }, el("span", {}, label), input, output), input, set };
}

/** Follow a pointer that is pressed on an element, mouse, pen or finger: `move(event)` from the first
    touch to the last. */
function dragging(node, move) {
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    node.setPointerCapture(event.pointerId);
    node.focus({ preventScroll: true });
    move(event, true);
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    if (node.hasPointerCapture(event.pointerId)) move(event, false);
  });
}

/** Build a page in every place that waits for it by its name. */
function start(page, build, data, style) {
  for (const host of document.querySelectorAll(`[data-srkit-page="${page}"]`)) {
    if (host.shadowRoot) continue;
    const root = host.attachShadow({ mode: "open" });
    root.append(el("style", {}, style));
    followTheme(host);
    const kernel = kernelOf(page);
    root.append(build(data, kernel));
    kernel.look();
  }
}
