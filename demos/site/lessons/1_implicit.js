// ---- 1. Can gradient descent find the wrong observations by itself? ---------------------------------------------------
/** Twenty observations of a parabola, k of them corrupted, and J = 4 (1, x, x^2). ``moved``: what the reader dragged. */
function parabola({ k, seed, moved = "" }) {
  const N = 20, { uniform, permutation } = generator(seed), x = Array.from({ length: N }, (_, i) => -1 + 2 * i / (N - 1));
  const J = x.map(v => Float64Array.from([4, 4 * v, 4 * v * v])), theta_star = Float64Array.from([0.075, 0.225, -0.25]);
  const clean = times(J, theta_star), s_star = new Float64Array(N);
  for (const i of permutation(N).slice(0, k)) s_star[i] = (uniform() < 0.5 ? -1 : 1) * (0.6 + uniform());
  for (const part of moved ? moved.split(",") : []) { const [i, to] = part.split(":").map(Number); s_star[i] = Math.abs(to - clean[i]) < 0.04 ? 0 : to - clean[i]; }
  const y = Float64Array.from(clean, (v, i) => v + s_star[i]);
  return { x, J, Jt: transposed(J), K: gram(J), y, theta_star, s_star, clean };
}
const TIMES = [-3, 4];
lesson({
  id: "implicit", question: "Can gradient descent find the wrong observations by itself?", minutes: 10, seed: 3,
  sentence: "A curve, twenty points, a few of them wrong. No penalty anywhere, and yet only the wrong ones are set aside.",
  thumbnail: `<svg viewBox="0 0 200 84"><path d="M8 66Q100 -28 192 60" fill="none" stroke="var(--blue)" stroke-width="3"/><g fill="var(--grey)"><circle cx="20" cy="52" r="4"/><circle cx="48" cy="33" r="4"/><circle cx="120" cy="22" r="4"/><circle cx="168" cy="44" r="4"/></g><path d="M84 20V70M144 30V6" stroke="var(--red)" stroke-width="3"/><g fill="var(--red)"><circle cx="84" cy="70" r="5"/><circle cx="144" cy="6" r="5"/></g></svg>`,
  controls: [
    { name: "time", label: "time <i>t</i> of the flow", spoken: "time", min: -3, max: 4, step: 0.05, value: 4, show: v => html(short(10 ** v)) },
    { name: "alpha", label: "<i>α</i>, learning rate of <i>u</i>, <i>v</i> over that of <i>θ</i>", spoken: "learning rate ratio alpha", min: 0, max: 3.6, step: 0.05, value: 1.3, show: v => short(10 ** v) },
    { name: "gamma", label: "<i>γ</i>, the start of <i>u</i>, <i>v</i>", spoken: "initial size gamma", min: -24, max: -2, step: 1, value: -8, show: v => `e<sup>−${-v}</sup>` },
    { name: "k", label: "wrong observations", spoken: "wrong observations", min: 0, max: 20, step: 1, value: 3, whole: true, show: v => `${v} of 20` },
  ],
  toggles: [{ name: "hold", label: "hold <i>λ</i>", value: false }],
  play: "time", another: "other points",
  // "hold lambda": where gamma moves, alpha moves with it, and the other way round, so that lam = -log gamma / (2 alpha) stays
  link: (values, some, by) => {
    if (by === "k") return { moved: "" };
    if (!(some.hold ?? values.hold)) return {};
    if (by === "gamma") return { alpha: Math.max(0, Math.min(3.6, values.alpha + Math.log10(some.gamma / values.gamma))) };
    return {};
  },
  recall: text => /^(\d{1,2}:-?\d+(\.\d+)?)(,\d{1,2}:-?\d+(\.\d+)?)*$/.test(text) && text.split(",").every(part => Number(part.split(":")[0]) < 20) ? text : null,
  steps: [
    { text: "Twenty points of a curve; three are wrong (red). The dashed curve is least squares: it bends towards them. <b>Drag a point</b> up or down and see both curves answer.", set: {} },
    { text: "Every point has an <i>s<sub>i</sub></i> of its own that may take up what the curve cannot explain: <i>y</i> = <i>Jθ</i> + <i>s</i>, <i>s</i> = <i>u</i>∘<i>u</i> − <i>v</i>∘<i>v</i>. All start near 0, and gradient descent follows the squared error alone. Which <i>s<sub>i</sub></i> will grow?", ask: ["all of them a little", "only the wrong points'", "none"], answer: 1, because: "Play the time: the curve learns first, then the three red <i>s<sub>i</sub></i> rise, and the grey ones stay at 0. Nobody told it which.", set: { time: -3 }, then: { time: 4 } },
    { text: "Watch it happen: press play. The gradient of <i>u</i><sub><i>i</i></sub> is proportional to <i>u<sub>i</sub></i> itself, so what is small grows slowly and late: only a residual that stays wakes its <i>s<sub>i</sub></i>.", set: { time: -3 }, play: true },
    { text: "The crosses are the solution of a convex program, min ½|<i>θ</i>|² + <i>λ</i>|<i>s</i>|<sub>1</sub>, with <i>λ</i> = −log <i>γ</i> / (2<i>α</i>). There is no penalty in the descent, yet it ends there: the start and the two learning rates act as one.", set: {} },
    { text: "Tick <b>hold <i>λ</i></b> and move <i>γ</i>: a smaller start brings dots and crosses together. With a large start they part.", set: { gamma: -3, alpha: 0.87, hold: true } },
    { text: "Raise <i>α</i> to 300. What happens to the right points?", ask: ["nothing", "they get an s too", "they become wrong"], answer: 1, because: "<i>s</i> is now so fast that it takes what the curve has not yet learned. Too fast is as bad as too slow: see the next lesson.", set: {}, then: { alpha: 2.5 } },
    { text: "Now 14 of 20 are wrong. The flow fails, and so does the convex program: not descent is at fault, the data are. How many are too many is lesson 3.", set: { k: 14 } },
  ],
  compute(values) {
    const problem = parabola(values), alpha = 10 ** values.alpha, L = -values.gamma, lam = L / (2 * alpha);
    const key = [values.alpha, values.gamma, values.k, values.seed, values.moved].join();
    if (this.kept?.key !== key) {
      const run = flow(problem, alpha, L, 1e4);
      this.kept = { key, flow: run, limit: limit(problem, alpha, L, run.nu[run.nu.length - 1]), program: program(problem, lam) };
    }
    const t = 10 ** values.time, nu = values.time >= 4 ? this.kept.limit.nu : nuAt(this.kept.flow, t);
    return { ...this.kept, problem, alpha, L, lam, t, nu, s: sparse(nu, alpha, L), theta: times(problem.Jt, nu) };
  },
  panels: [
    { draw(box, { problem, s, theta }) {
      const chart = new Chart(box, { title: "the points and the fitted curve", right: 96, x: { low: -1.08, high: 1.08, label: "x", ticks: [-1, 0, 1] }, y: { low: -3, high: 2.6, label: "y" } });
      const curve = th => Array.from({ length: 61 }, (_, i) => { const v = -1.05 + 2.1 * i / 60; return [v, 4 * (th[0] + th[1] * v + th[2] * v * v)]; });
      const names = { fit: "fitted", squares: "least squares" };
      const straight = leastSquares(problem);
      chart.line(curve(straight), "grey", { dash: "5 4", width: 1.6, name: names.squares }).line(curve(theta), "blue", { width: 3, name: names.fit });
      problem.x.forEach((v, i) => { if (Math.abs(s[i]) > 0.03) chart.stem(v, problem.y[i] - s[i], problem.y[i], "red"); });
      problem.x.forEach((v, i) => chart.dot(v, problem.y[i], problem.s_star[i] ? "red" : "grey", 6, `class="paper handle" data-point="${i}" tabindex="0" role="slider" aria-label="observation ${i + 1}" aria-valuenow="${problem.y[i].toFixed(2)}" aria-valuemin="-3" aria-valuemax="2.6"`));
      const svg = chart.show();
      svg.querySelectorAll("[data-point]").forEach(handle => {
        const i = Number(handle.dataset.point);
        handle.onpointerdown = event => { event.preventDefault(); grab = { i, chart }; };
        handle.onkeydown = event => { const by = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key]; if (by) { event.preventDefault(); move(i, problem.y[i] + by); requestAnimationFrame(() => document.querySelector(`[data-point="${i}"]`)?.focus()); } };
      });
    } },
    { draw(box, { problem, flow: run, limit: end, program: best, alpha, L, t }, values) {
      const all = [...end.s, ...best.s], low = Math.min(-0.5, ...all), high = Math.max(0.5, ...all), room = 0.08 * (high - low);
      const chart = new Chart(box, { title: "every entry of s over time, the limit of the flow and the convex solution", right: 62, x: { low: 1e-3, high: 1e4, log: true, label: "time t" }, y: { low: low - room, high: high + room, label: "sᵢ(t)" } });
      const order = Array.from(problem.y.keys()).sort((a, b) => (problem.s_star[a] !== 0) - (problem.s_star[b] !== 0)), shown = run.t.map((_, m) => m).filter(m => run.t[m] >= 1e-3);
      const all_s = shown.map(m => sparse(run.nu[m], alpha, L));
      for (const i of order) { const wrong = problem.s_star[i] !== 0; chart.line(all_s.map((v, m) => [run.t[shown[m]], v[i]]), wrong ? "red" : "grey", { width: wrong ? 2.2 : 1, fade: wrong ? 1 : 0.7 }); }
      const edge = chart.width - 62;
      for (const i of order) { chart.marks += `<circle class="paper" cx="${edge + 14}" cy="${chart.Y(end.s[i])}" r="4.5" fill="var(--blue)"/>`; const c = edge + 38, d = chart.Y(best.s[i]); chart.marks += `<path d="M${c - 4} ${d - 4}l8 8m0-8l-8 8" stroke="var(--ink)" stroke-width="1.8"/>`; }
      chart.marks += `<text x="${edge + 14}" y="14" text-anchor="middle" style="fill:var(--blue)">limit</text><text x="${edge + 46}" y="14" text-anchor="middle">ℓ₁</text>`;
      if (values.time < 4) chart.upright(t, "ink");
      chart.show();
    } },
  ],
  tell({ problem, limit: end, program: best, lam, theta, s, t }, values) {
    const star = problem.theta_star, off = norm(minus(end.theta, star)) / norm(star), apart = largest(minus(end.s, best.s));
    const right = problem.s_star.map((v, i) => v === 0 ? s[i] : 0), found = problem.s_star.filter((v, i) => v !== 0 && Math.abs(s[i] - v) < 0.1).length, wrong = problem.s_star.filter(v => v !== 0).length;
    const now = values.time < 4 ? `At this moment <i>θ</i> is ${percent(norm(minus(theta, star)) / norm(star))} off.` : wrong === 0 ? "Nothing is wrong here, and nothing is set aside." : off < 0.01 ? `<b>Found:</b> ${found} of ${wrong}, and the curve is ${percent(off)} off.` : largest(right) > 0.05 ? `<b>Not found:</b> right points have been given an <i>s</i>, and the curve is ${percent(off)} off.` : `<b>Not found:</b> the curve is ${percent(off)} off.`;
    return `${now} <i>λ</i> = −log <i>γ</i> / 2<i>α</i> = <b id="lam">${html(short(lam))}</b>; limit and convex solution differ by at most <b id="apart">${small(apart)}</b>. <span class="soft">(Residual ${small(end.residual)}, duality gap ${small(Math.abs(best.gap))}.)</span>`;
  },
});
function leastSquares({ J, y }) { const Jt = transposed(J), A = Jt.map(row => Float64Array.from(Jt, other => dot(row, other))); return solve(cholesky(A), times(Jt, y)); }
let grab = null;
function move(i, y) {
  const others = (classroom.values.moved || "").split(",").filter(part => part && Number(part.split(":")[0]) !== i);
  change({ moved: [...others, `${i}:${+Math.max(-2.9, Math.min(2.5, y)).toFixed(2)}`].join(",") });
}
addEventListener("pointermove", event => { if (grab) { const [, at] = grab.chart.place(event); move(grab.i, grab.chart.toY(at)); } });
addEventListener("pointerup", () => { if (grab) { grab = null; remember(); } });
