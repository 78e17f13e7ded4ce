({
  /** What is drawn in those elements of a page that can be seen. */
  drawn(host, css) {
    return Array.from(host.shadowRoot.querySelectorAll(css))
      .filter((node) => node.getClientRects().length)
      .map((node) => node.tagName === "CANVAS" ? node.toDataURL() : node.tagName === "IMG" ? node.src : node.outerHTML)
      .join("\n");
  },

  /** Its texts that are hard to read: of too little contrast (WCAG asks 4.5), or tiny. */
  faint(host) {
    const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const light = (rgb) => {
      const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
      for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
        const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
        if (r !== undefined && a > 0.5) return [r, g, b];
      }
      return [255, 255, 255];
    };
    const found = [];
    for (const node of host.shadowRoot.querySelectorAll(":not(style, option)")) {
      const text = Array.from(node.childNodes).filter((n) => n.nodeType === 3).map((n) => n.data).join("").trim();
      if (!text || !node.getClientRects().length || node.disabled) continue;
      const style = getComputedStyle(node), drawn = node instanceof SVGElement, matrix = drawn && node.getScreenCTM();
      const [a, b] = [numbers(drawn ? style.fill : style.color).slice(0, 3), behind(node)].map(light);
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize) * (drawn ? Math.hypot(matrix.a, matrix.b) : 1);
      if (contrast < 4.5 || size < 10.9) found.push(`${text}: contrast ${contrast.toFixed(1)}, ${size.toFixed(1)} px`);
    }
    return found;
  },

  /** Its parts that stand out of it, and controls too small for a finger. */
  cramped(host) {
    const edge = host.getBoundingClientRect(), found = [];
    for (const node of host.shadowRoot.querySelectorAll(".page *")) {
      const box = node.getBoundingClientRect();
      if (!box.width || node.closest("svg > *")) continue;
      const name = `${node.tagName} ${node.className} ${node.textContent.slice(0, 30)}`;
      if (box.right > Math.min(edge.right, innerWidth) + 1 || box.left < edge.left - 1) found.push(`stands out: ${name}`);
      if (node.matches("button, select, input") && box.height < 24) found.push(`small: ${name}`);
    }
    return found;
  },
})
