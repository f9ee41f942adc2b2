// ---- drawing: one chart is one SVG as large as its box; curves carry their names; the pointer reads values ----------
const color = name => `var(--${name})`;
const powers = (low, high, every = 1) => Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, i) => 10 ** (low + every * i));
function ticks(low, high, count = 5) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), step = power * [1, 2, 5, 10].find(m => m * power >= raw);
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + 1e-9 * step; v += step) found.push(Math.abs(v) < 1e-12 ? 0 : +v.toPrecision(6));
  return found;
}
const escape = text => String(text).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

class Chart {
  /** ``x`` and ``y``: {low, high, log, label, ticks}; ``title``: what the picture shows, also for who cannot see it. */
  constructor(box, { x, y, title, right = 12 }) {
    this.box = box; this.x = x; this.y = y; this.title = title;
    this.width = Math.max(box.clientWidth, 120); this.height = Math.max(box.clientHeight, 90);
    this.left = 46; this.right = right; this.top = 24; this.bottom = 36;
    this.marks = ""; this.below = ""; this.names = []; this.series = [];
    const scale = (axis, from, to) => { const f = axis.log ? Math.log10 : v => v, low = f(axis.low), high = f(axis.high); return v => from + (to - from) * (f(v) - low) / (high - low); };
    this.X = scale(x, this.left, this.width - this.right);
    this.Y = scale(y, this.height - this.bottom, this.top);
    const back = (axis, from, to) => { const f = axis.log ? Math.log10 : v => v, low = f(axis.low), high = f(axis.high); return p => { const v = low + (p - from) / (to - from) * (high - low); return axis.log ? 10 ** v : v; }; };
    this.toX = back(x, this.left, this.width - this.right);
    this.toY = back(y, this.height - this.bottom, this.top);
  }
  frame() {
    const list = (axis, room) => axis.ticks || (axis.log ? powers(Math.ceil(Math.log10(axis.low) - 1e-9), Math.floor(Math.log10(axis.high) + 1e-9), Math.max(1, Math.ceil((Math.log10(axis.high / axis.low)) * 44 / room))) : ticks(axis.low, axis.high, Math.max(2, Math.floor(room / 60))));
    const name = (axis, v) => axis.log ? `10<tspan dy="-5" class="small">${String(Math.round(Math.log10(v))).replace("-", "−")}</tspan>` : String(v).replace("-", "−");
    let out = "";
    for (const v of list(this.y, this.height)) out += `<line class="grid" x1="${this.left}" x2="${this.width - this.right}" y1="${this.Y(v)}" y2="${this.Y(v)}"/><text x="${this.left - 6}" y="${this.Y(v) + 4}" text-anchor="end">${name(this.y, v)}</text>`;
    for (const v of list(this.x, this.width)) out += `<text x="${this.X(v)}" y="${this.height - this.bottom + 16}" text-anchor="middle">${name(this.x, v)}</text>`;
    out += `<line class="axis" x1="${this.left}" x2="${this.width - this.right}" y1="${this.height - this.bottom}" y2="${this.height - this.bottom}"/>`;
    out += `<text class="soft" x="${(this.left + this.width - this.right) / 2}" y="${this.height - 4}" text-anchor="middle">${escape(this.x.label || "")}</text>`;
    return out + `<text class="soft" x="6" y="14">${escape(this.y.label || "")}</text>`;
  }
  line(points, ink, { width = 2, dash = "", name = "", fade = 1, at = null } = {}) {
    if (!points.length) return this;
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${this.X(x).toFixed(1)} ${Math.max(-9e3, Math.min(9e3, this.Y(y))).toFixed(1)}`).join("");
    this.marks += `<path d="${d}" fill="none" stroke="${color(ink)}" stroke-width="${width}" stroke-opacity="${fade}" ${dash ? `stroke-dasharray="${dash}"` : ""}/>`;
    if (name) { this.names.push([...(at || points[points.length - 1]), name, ink]); this.series.push({ points, name, ink }); }
    return this;
  }
  dot(x, y, ink, size = 4, more = "") { this.marks += `<circle cx="${this.X(x)}" cy="${this.Y(y)}" r="${size}" fill="${color(ink)}" class="paper" ${more}/>`; return this; }
  cross(x, y, ink = "ink") { const c = this.X(x), d = this.Y(y); this.marks += `<path d="M${c - 4} ${d - 4}l8 8m0-8l-8 8" stroke="${color(ink)}" stroke-width="1.8" fill="none"/>`; return this; }
  stem(x, from, to, ink, width = 3) { this.marks += `<line x1="${this.X(x)}" x2="${this.X(x)}" y1="${this.Y(from)}" y2="${this.Y(to)}" stroke="${color(ink)}" stroke-width="${width}"/>`; return this; }
  upright(x, ink = "grey", label = "") { this.marks += `<line x1="${this.X(x)}" x2="${this.X(x)}" y1="${this.top}" y2="${this.height - this.bottom}" stroke="${color(ink)}" stroke-dasharray="3 4"/>${label ? `<text class="soft halo" x="${this.X(x) + 4}" y="${this.top + 10}">${escape(label)}</text>` : ""}`; return this; }
  text(x, y, words, ink = "ink", anchor = "start") { this.marks += `<text class="halo" x="${this.X(x)}" y="${this.Y(y)}" text-anchor="${anchor}" style="fill:${color(ink)}">${escape(words)}</text>`; return this; }
  /** The names of the curves beside their ends, in their colours, moved apart where they would overlap. */
  labels() {
    const places = this.names.map(([x, y, name, ink]) => ({ x: this.X(x), y: Math.max(this.top + 6, Math.min(this.height - this.bottom - 4, this.Y(y))), name, ink })).sort((a, b) => a.y - b.y);
    for (let round = 0; round < 60; round++) for (let i = 1; i < places.length; i++) { const room = 15 - (places[i].y - places[i - 1].y); if (room > 0) { places[i].y += room / 2; places[i - 1].y -= room / 2; } }
    return places.map(({ x, y, name, ink }) => { const end = x + 7 * name.length > this.width - 4; return `<text class="halo" x="${end ? this.width - 4 : x + 6}" y="${y + 4}" text-anchor="${end ? "end" : "start"}" style="fill:${color(ink)}">${escape(name)}</text>`; }).join("");
  }
  show() {
    this.box.innerHTML = `<svg class="chart" viewBox="0 0 ${this.width} ${this.height}" role="img" aria-label="${escape(this.title)}">${this.below}${this.frame()}${this.marks}${this.labels()}<g class="hover"></g></svg>`;
    const svg = this.box.firstChild, hover = svg.querySelector(".hover");
    svg.onpointermove = event => {
      const at = this.place(event);
      let best = null;
      for (const { points, name, ink } of this.series) for (const [x, y] of points) { const far = Math.hypot(this.X(x) - at[0], this.Y(y) - at[1]); if (!best || far < best.far) best = { far, x, y, name, ink }; }
      hover.innerHTML = best && best.far < 24 ? `<circle cx="${this.X(best.x)}" cy="${this.Y(best.y)}" r="4" fill="${color(best.ink)}"/><text class="halo" x="${Math.min(this.X(best.x) + 8, this.width - 150)}" y="${this.Y(best.y) - 8}">${escape(best.name)}: ${String(+best.y.toPrecision(3)).replace("-", "−")}</text>` : "";
    };
    svg.onpointerleave = () => { hover.innerHTML = ""; };
    return svg;
  }
  place(event) { const box = this.box.getBoundingClientRect(); return [(event.clientX - box.left) * this.width / box.width, (event.clientY - box.top) * this.height / box.height]; }
}
/** Draw a grey picture, values 0 (paper) to 1 (ink), rows from the top. */
function picture(canvas, rows, columns, value, rgb = null) {
  canvas.width = columns; canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    const v = rgb ? rgb(i) : [255 * (1 - value(i)), 255 * (1 - value(i)), 255 * (1 - value(i))];
    image.data.set([v[0], v[1], v[2], 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
