// ---- 3. How many wrong observations can be found? ---------------------------------------------------------------------
/** Section 3.2 of the SOP paper: J = A B Gaussian of rank r, N = 100, p = 150, k corrupted; J's leverages for (27). */
function gaussian({ r, k, seed }) {
  const N = 100, p = 150, { normal, permutation, matrix } = generator(seed * 1000003 + r * 1009 + k);
  const A = matrix(N, r), B = matrix(r, p), J = product(A, B), theta = Float64Array.from({ length: p }, normal);
  const Bt = transposed(B), theta_star = Float64Array.from(times(Bt, solve(cholesky(gram(B)), times(B, theta))));  // its part in the row space of J
  const s_star = new Float64Array(N);
  for (const i of permutation(N).slice(0, k)) s_star[i] = normal();
  const clean = times(J, theta_star), factor = cholesky(gram(transposed(A)));
  const leverage = A.map(row => dot(row, solve(factor, row)));
  return { J, Jt: transposed(J), K: gram(J), y: Float64Array.from(clean, (v, i) => v + s_star[i]), theta_star, s_star, mu: N / r * Math.max(...leverage) };
}
const DIAGRAM = { shares: bytes(DATA.transition.shares), ranks: DATA.transition.ranks, sparsities: DATA.transition.sparsities };
lesson({
  id: "transition", question: "How many wrong observations can be found?", minutes: 10, seed: 1,
  sentence: "Up to a sharp line all of them, beyond it none. A formula without a free parameter says where the line runs.",
  thumbnail: `<svg viewBox="0 0 200 84"><rect x="40" y="2" width="120" height="78" fill="#000"/><path d="M40 8C60 50 100 74 160 80H40Z" fill="#fff" stroke="var(--red)" stroke-width="2.5"/></svg>`,
  controls: [
    { name: "r", label: "rank <i>r</i> of <i>J</i>", spoken: "rank", min: 1, max: 99, step: 1, value: 20, whole: true, show: v => `${v} of 100` },
    { name: "k", label: "wrong observations <i>k</i>", spoken: "wrong observations", min: 0, max: 100, step: 1, value: 20, whole: true, show: v => `${v} of 100` },
    { name: "lam", label: "weight <i>λ</i> of |<i>s</i>|<sub>1</sub>", spoken: "weight lambda", min: -4, max: 1, step: 0.1, value: -1, show: v => html(short(10 ** v)) },
  ],
  another: "other instance",
  steps: [
    { text: "100 observations, of which <i>k</i> are wrong; the clean ones lie in a space of dimension <i>r</i>. White: all instances are recovered exactly; black: none. The mark is where you are. <b>Click anywhere.</b>", set: {} },
    { text: "Walk up from <i>k</i> = 0 at rank 20. How does recovery end?", ask: ["slowly, more and more error", "all at once"], answer: 1, because: "Up to the red line the error is zero to rounding; just above it, it jumps.", set: { k: 30 }, then: { k: 50 } },
    { text: "The red line is a formula (a space of dimension 100 − <i>r</i> meets the descent cone of the ℓ<sub>1</sub> norm with probability one half). Nothing was fitted. On the line press <b>other instance</b> several times: some are recovered, some are not.", set: { k: 46 } },
    { text: "Go back to a place that is recovered and lower <i>λ</i>: below a threshold of its own, every instance is lost at once.", set: { lam: -2.5 } },
    { text: "The paper's condition (28), <i>k</i>²<i>r</i> &lt; <i>N</i>/(4<i>μ</i>), guarantees success. How much of the white region does it cover?", ask: ["most of it", "about half", "next to nothing"], answer: 2, because: `It needs <i>k</i> = 1 and a small rank: ${DATA.transition.covered} of the recovered plane. Sufficient conditions are safe, not sharp.`, set: { r: 3, k: 1 }, then: { r: 3, k: 1 } },
  ],
  compute(values) {
    const where = [values.r, values.k, values.seed].join();
    if (this.kept?.where !== where) this.kept = { where, problem: gaussian(values) };
    const { problem } = this.kept, lam = 10 ** values.lam, star = norm(problem.theta_star), off = found => star ? norm(minus(found.theta, problem.theta_star)) / star : 0;
    const same = this.kept.lam === values.lam;  // nothing has moved since the last picture
    if (!same) Object.assign(this.kept, { lam: values.lam, found: program(problem, lam), later: null });
    const { found } = this.kept, error = off(found);
    if (error >= 1e-3 && this.kept.later === null) {  // would a larger lam do? Asked once the hand rests
      if (same) this.kept.later = off(program(problem, 30)); else { clearTimeout(this.resting); this.resting = setTimeout(soon, 150); }
    }
    const later = error < 1e-3 ? error : this.kept.later;
    return { problem, lam, program: found, error, later, predicted: DATA.transition.predicted[values.r - 1], left: values.k ** 2 * values.r, right: 100 / (4 * problem.mu) };
  },
  panels: [
    { draw(box, _, values) {
      const chart = new Chart(box, { title: "share of instances recovered over rank and number of wrong observations", right: 14, x: { low: 0, high: 100, label: "rank r" }, y: { low: 0, high: 100, label: "wrong observations k" } });
      const { ranks, sparsities, shares: cells } = DIAGRAM, w = (chart.X(ranks[1]) - chart.X(ranks[0])), h = chart.Y(sparsities[0]) - chart.Y(sparsities[1]);
      if (!this.image) { const canvas = document.createElement("canvas"), n = ranks.length; picture(canvas, sparsities.length, n, i => 1 - cells[(sparsities.length - 1 - Math.floor(i / n)) * n + i % n] / 20); this.image = canvas.toDataURL(); }
      const x0 = chart.X(ranks[0]) - w / 2, y0 = chart.Y(sparsities[sparsities.length - 1]) - h / 2;
      chart.marks += `<image href="${this.image}" x="${x0}" y="${y0}" width="${w * ranks.length}" height="${h * sparsities.length}" preserveAspectRatio="none" style="image-rendering:pixelated"/>`;
      chart.line(DATA.transition.predicted.map((k, i) => [i + 1, k]), "red", { width: 2.5 });
      chart.marks += `<text x="${chart.X(40)}" y="${chart.Y(62)}" style="fill:#fff">none recovered</text><text x="${chart.X(8)}" y="${chart.Y(14)}" style="fill:#222">all recovered</text><text x="${chart.X(44)}" y="${chart.Y(34)}" style="fill:#ff8593">the formula</text>`;
      chart.marks += `<circle cx="${chart.X(values.r)}" cy="${chart.Y(values.k)}" r="8" fill="#ffd84d" stroke="#000" stroke-width="2"/>`;
      const svg = chart.show();
      svg.style.cursor = "crosshair";
      svg.onpointerdown = event => { picked = chart; pick(event); };
    } },
    { draw(box, { problem, program: found, error }) {
      const reach = 1.1 * Math.max(largest(problem.s_star), largest(found.s), 0.1);
      const chart = new Chart(box, { title: "s as found against the true s", x: { low: -reach, high: reach, label: "true s" }, y: { low: -reach, high: reach, label: "s as found" } });
      chart.line([[-reach, -reach], [reach, reach]], "grey", { width: 1, name: "exact", at: [0.72 * reach, 0.62 * reach] });
      problem.s_star.forEach((v, i) => { if (!v) chart.dot(v, found.s[i], "grey", 3.5); });
      problem.s_star.forEach((v, i) => { if (v) chart.dot(v, found.s[i], "red", 4.5); });
      chart.text(-0.95 * reach, 0.88 * reach, error < 1e-3 ? "every red point on the line" : "off the line", error < 1e-3 ? "green" : "red").show();
    } },
  ],
  tell({ program: found, error, later, predicted, left, right }, values) {
    const verdict = error < 1e-3 ? `<b>Recovered:</b> <i>θ</i> is ${error < 1e-13 ? "exact to rounding" : `${html(short(error))} off`}.` : later === null ? `<b>Not recovered</b> (<i>θ</i> ${percent(error)} off).` : later < 1e-3 ? `<b>Not recovered at this <i>λ</i></b> (<i>θ</i> ${percent(error)} off): it is below this instance's threshold, and a larger one recovers.` : `<b>Not recovered</b> (<i>θ</i> ${percent(error)} off), and no larger <i>λ</i> helps.`;
    const condition = values.k === 0 ? "Condition (28) holds trivially, since nothing is wrong; it speaks of large <i>λ</i> only." : left < right ? `Condition (28) holds: it promises recovery once <i>λ</i> is large enough.` : `Condition (28) does not hold (<i>k</i>²<i>r</i> = ${left} is not below <i>N</i>/4<i>μ</i> = ${short(right)}) and promises nothing.`;
    return `${verdict} At this rank half of all instances fail from <i>k</i> = ${predicted.toFixed(0)} on. ${condition} <span class="soft">(Duality gap ${small(Math.abs(found.gap))}.)</span>`;
  },
});
let picked = null;
function pick(event) { const [x, y] = picked.place(event); change({ r: Math.max(1, Math.min(99, Math.round(picked.toX(x)))), k: Math.max(0, Math.min(100, Math.round(picked.toY(y)))) }); }
addEventListener("pointermove", event => { if (picked && event.buttons) pick(event); });
addEventListener("pointerup", () => { if (picked) { picked = null; remember(); } });
