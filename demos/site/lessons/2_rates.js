// ---- 2. Why does s need another learning rate than theta? -------------------------------------------------------------
/** A parabola as in lesson 1, and for each of the 24 points a small bump of its own, with which theta can memorise it. */
function memorising({ tail, k, seed }) {
  const N = 24, { uniform, permutation } = generator(seed), x = Array.from({ length: N }, (_, i) => -1 + 2 * i / (N - 1));
  const J = x.map((v, i) => { const row = new Float64Array(3 + N); row.set([4, 4 * v, 4 * v * v]); row[3 + i] = tail; return row; });
  const theta_star = new Float64Array(3 + N); theta_star.set([0.075, 0.225, -0.25]);
  const clean = times(J, theta_star), s_star = new Float64Array(N);
  for (const i of permutation(N).slice(0, k)) s_star[i] = (uniform() < 0.5 ? -1 : 1) * (0.6 + uniform());
  return { x, J, Jt: transposed(J), K: gram(J), y: Float64Array.from(clean, (v, i) => v + s_star[i]), theta_star, s_star, clean };
}
/** Shares: the error of the curve, the corruption that bumps memorise, that s has found, the clean signal that s swallowed. */
function shares({ s_star, theta_star, clean, y }, theta, s, tail) {
  const total = s_star.reduce((sum, v) => sum + Math.abs(v), 0) || 1, signal = clean.reduce((sum, v, i) => sum + (s_star[i] ? 0 : Math.abs(v)), 0);
  let memorised = 0, found = 0, swallowed = 0;
  s_star.forEach((v, i) => { if (v) { memorised += Math.sign(v) * tail * theta[3 + i]; found += Math.sign(v) * s[i]; } else swallowed += Math.abs(s[i]); });
  const off = norm(minus(theta.slice(0, 3), theta_star.slice(0, 3))) / norm(theta_star.slice(0, 3));
  return { error: off, memorised: memorised / total, found: found / total, swallowed: swallowed / signal };
}
const RACE = [["found", "red", "found by s"], ["memorised", "yellow", "memorised"], ["swallowed", "purple", "clean signal swallowed"]];
lesson({
  id: "rates", question: "Why does s need another learning rate than θ?", minutes: 10, seed: 1,
  sentence: "A model that can memorise anything races with s for the wrong labels. Who wins is decided by one number.",
  thumbnail: `<svg viewBox="0 0 200 84"><path d="M6 76C60 76 60 10 110 10H194" fill="none" stroke="var(--red)" stroke-width="3"/><path d="M6 76C100 76 110 60 194 46" fill="none" stroke="var(--yellow)" stroke-width="3" stroke-dasharray="6 4"/></svg>`,
  controls: [
    { name: "alpha", label: "<i>α</i>, learning rate of <i>u</i>, <i>v</i> over that of <i>θ</i>", spoken: "learning rate ratio alpha", min: -1, max: 4, step: 0.05, value: 2, show: v => short(10 ** v) },
    { name: "tail", label: "how easily the model memorises", spoken: "size of the bumps", min: 0, max: 0.5, step: 0.01, value: 0.3, show: v => v.toFixed(2) },
    { name: "k", label: "wrong observations", spoken: "wrong observations", min: 1, max: 12, step: 1, value: 4, whole: true, show: v => `${v} of 24` },
    { name: "time", label: "time <i>t</i> of the flow", spoken: "time", min: -3, max: 5, step: 0.05, value: 5, show: v => html(short(10 ** v)) },
  ],
  play: "time", another: "other points",
  steps: [
    { text: "The curve of lesson 1, but now the model has a bump for every point: it can go through all of them. Will it go through the wrong ones?", ask: ["yes, always", "it depends on who is faster"], answer: 1, because: "<i>s</i> and the bumps race for the same residual. Here <i>s</i> wins: no red point is reached by the blue line.", set: { time: 1 }, then: {} },
    { text: "Watch the race: play. First the curve, then <i>s</i> (red stems), and for the bumps nothing is left.", set: { time: -3 }, play: true },
    { text: "<b>Too slow.</b> With <i>α</i> = 0.3 the bumps are there first: the model memorises the wrong points, and the curve bends.", set: { alpha: -0.5 } },
    { text: "<b>Too fast.</b> With <i>α</i> = 3,000 the <i>s<sub>i</sub></i> grow before the curve has learned anything. They swallow the clean signal too.", set: { alpha: 3.5 } },
    { text: "Between the two lies a window (right picture). Move <b>how easily the model memorises</b>: the better it memorises, the narrower the window. In a network, α is set by SOP's two learning rates, and 'auto' finds the window.", set: {} },
    { text: "With no bumps at all, is there still an <i>α</i> that is too small?", ask: ["yes", "no, only a slow one"], answer: 1, because: "What cannot be memorised waits for <i>s</i>: with α = 0.1 the same end is reached, later. That is why lesson 1 needed no race.", set: { alpha: -1 }, then: { tail: 0, alpha: -1 } },
  ],
  compute(values) {
    const problem = memorising(values), alpha = 10 ** values.alpha, L = 12, where = [values.tail, values.k, values.seed].join();
    if (this.ends?.where !== where) this.ends = { where, alphas: Array.from({ length: 26 }, (_, i) => 10 ** (-1 + 0.2 * i)), shares: [] };
    for (const began = performance.now(); this.ends.shares.length < 26 && performance.now() - began < 10;) {
      const a = this.ends.alphas[this.ends.shares.length], before = this.ends.nu;  // nu is of the size of lam, and so of 1/alpha
      const end = limit(problem, a, L, before && before.map(v => v * this.ends.alphas[this.ends.shares.length - 1] / a));
      this.ends.nu = end.nu;
      this.ends.shares.push(shares(problem, end.theta, end.s, values.tail));
    }
    if (this.ends.shares.length < 26) soon();  // the rest in the next frames: the picture never waits
    const key = where + values.alpha;
    if (this.kept?.key !== key) {
      const run = flow(problem, alpha, L, 1e5);
      this.kept = { key, flow: run, limit: limit(problem, alpha, L, run.nu[run.nu.length - 1]) };
    }
    const nu = values.time >= 5 ? this.kept.limit.nu : nuAt(this.kept.flow, 10 ** values.time);
    const s = sparse(nu, alpha, L), theta = times(problem.Jt, nu);
    return { ...this.kept, ends: this.ends, problem, alpha, L, s, theta, now: shares(problem, theta, s, values.tail), end: shares(problem, this.kept.limit.theta, this.kept.limit.s, values.tail) };
  },
  panels: [
    { draw(box, { problem, s, theta }, values) {
      const chart = new Chart(box, { title: "the points, the model through them, and s", x: { low: -1.08, high: 1.08, label: "x", ticks: [-1, 0, 1] }, y: { low: -3, high: 2.6, label: "y" } });
      const smooth = Array.from({ length: 61 }, (_, i) => { const v = -1.05 + 2.1 * i / 60; return [v, 4 * (theta[0] + theta[1] * v + theta[2] * v * v)]; });
      chart.line(smooth, "blue", { width: 3, name: "curve", at: smooth[52] });
      problem.x.forEach((v, i) => {
        const curve = 4 * (theta[0] + theta[1] * v + theta[2] * v * v), bump = values.tail * theta[3 + i];
        if (Math.abs(bump) > 0.02) chart.stem(v, curve, curve + bump, "yellow", 5);
        if (Math.abs(s[i]) > 0.02) chart.stem(v, problem.y[i] - s[i], problem.y[i], problem.s_star[i] ? "red" : "purple");
      });
      problem.x.forEach((v, i) => chart.dot(v, problem.y[i], problem.s_star[i] ? "red" : "grey", 5.5));
      chart.marks += `<text class="small" x="${chart.left + 8}" y="${chart.height - chart.bottom - 10}"><tspan style="fill:var(--red)">▌s takes it</tspan><tspan dx="10" style="fill:var(--yellow)">▌memorised</tspan><tspan dx="10" style="fill:var(--purple)">▌clean, swallowed</tspan></text>`;
      chart.show();
    } },
    { draw(box, { ends, end, alpha }) {
      const chart = new Chart(box, { title: "where the race ends, for every learning rate ratio", right: 20, x: { low: 0.1, high: 1e4, log: true, label: "α: ← too slow · too fast →" }, y: { low: -0.05, high: 1.5, label: "where the race ends" } });
      for (const [name, ink, words] of RACE) {
        const points = ends.shares.map((share, i) => [ends.alphas[i], Math.min(1.48, share[name])]);
        chart.line(points, ink, { name: words, at: points[Math.min(points.length - 1, name === "memorised" ? 1 : name === "found" ? 12 : 22)] });
        chart.dot(alpha, Math.min(1.48, end[name]), ink, 5);
      }
      chart.upright(alpha, "ink").show();
    } },
  ],
  tell({ end, now }, values) {
    if (values.time < 5) return `At this moment <i>s</i> holds ${percent(Math.max(0, now.found))} of the corruption, the bumps ${percent(Math.max(0, now.memorised))}; the curve is ${percent(now.error)} off.`;
    if (end.swallowed > 0.1) return `<b>Too fast:</b> <i>s</i> has swallowed ${percent(end.swallowed)} of the clean signal; the curve is ${percent(end.error)} off.`;
    if (end.memorised > 0.1) return `<b>Too slow:</b> ${percent(end.memorised)} of the corruption is memorised; the curve is ${percent(end.error)} off.`;
    return end.error < 0.1 ? `<b>Right:</b> <i>s</i> holds ${percent(end.found)} of the corruption, and the curve is ${percent(end.error)} off.` : `<b>Not found:</b> too much is wrong; the curve is ${percent(end.error)} off at this <i>α</i>.`;
  },
});
