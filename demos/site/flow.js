// ---- the flow (17) of the SOP paper, its limit, and the l1 program (26), for about twenty observations --------------
// nu' = y - J J^T nu - s(nu), s = 2 gamma^2 sinh(4 alpha nu), theta = J^T nu; L = log(1/gamma)
const sparse = (nu, alpha, L) => nu.map(v => Math.exp(4 * alpha * v - 2 * L) - Math.exp(-4 * alpha * v - 2 * L));
const slopes = (nu, alpha, L) => nu.map(v => 4 * alpha * (Math.exp(4 * alpha * v - 2 * L) + Math.exp(-4 * alpha * v - 2 * L)));
const diagonal = K => K.map((row, i) => row[i]);

/** Integrate by ode23s, the L-stable Rosenbrock pair of Shampine and Reichelt (1997); return times and nu. */
function flow({ K, y }, alpha, L, end) {
  const n = y.length, d = 1 / (2 + Math.SQRT2), e32 = 6 + Math.SQRT2, tol = 2e-4, scale = largest(y) || 1;
  const rate = nu => { const s = sparse(nu, alpha, L), Knu = times(K, nu); return y.map((v, i) => v - Knu[i] - s[i]); };
  let nu = new Float64Array(n), t = 0, h = 1e-4 / (1 + largest(diagonal(K))), f0 = rate(nu);
  const found = { t: [], nu: [] };
  for (let step = 0; t < end && step < 20000; step++) {
    h = Math.min(h, end - t);
    const D = slopes(nu, alpha, L), W = cholesky(K, D.map(v => h * d * v + 1), h * d);
    let error = Infinity, next = nu, f2 = f0;
    if (W) {
      const k1 = solve(W, f0), f1 = rate(nu.map((v, i) => v + 0.5 * h * k1[i]));
      const k2 = solve(W, f1.map((v, i) => v - k1[i])).map((v, i) => v + k1[i]);
      next = nu.map((v, i) => v + h * k2[i]); f2 = rate(next);
      const k3 = solve(W, f2.map((v, i) => v - e32 * (k2[i] - f1[i]) - 2 * (k1[i] - f0[i])));
      const reach = slopes(next, alpha, L), size = largest(next) || 1;
      // the error of nu relative to the largest, and of s, by its slope, relative to the largest |y|
      error = largest(k1.map((v, i) => (h / 6) * (v - 2 * k2[i] + k3[i]) * Math.max(1 / size, Math.max(D[i], reach[i]) / scale))) / tol;
    }
    if (error <= 1) { t += h; nu = next; f0 = f2; found.t.push(t); found.nu.push(nu); }
    h *= Number.isFinite(error) ? Math.min(5, Math.max(0.2, 0.8 * Math.cbrt(1 / (error || 1e-9)))) : 0.2;
  }
  return found;
}

/** nu at time t, linear in log t between the steps of a flow. */
function nuAt(run, t) {
  let m = run.t.findIndex(at => at >= t);
  if (m < 0) return run.nu[run.nu.length - 1];
  if (m === 0) return run.nu[0].map(v => v * t / run.t[0]);
  const w = (Math.log(t) - Math.log(run.t[m - 1])) / (Math.log(run.t[m]) - Math.log(run.t[m - 1]));
  return run.nu[m].map((v, i) => w * v + (1 - w) * run.nu[m - 1][i]);
}

/** Minimise Phi, the flow's strictly convex potential, by damped Newton steps: from ``start`` (a nu near the end, as the
    flow's last), or from a large gamma down to the wanted one. */
function limit({ K, y, Jt }, alpha, L, start = null) {
  const lam = L / (2 * alpha), most = largest(diagonal(K)) || 1;
  let nu = start || new Float64Array(y.length);
  for (let stage = start ? L : Math.min(0.5, L); ; stage = Math.min(1.6 * stage, L)) {
    const a = stage / (2 * lam);  // the same lam all along
    const phi = x => 0.5 * dot(x, times(K, x)) - dot(x, y) + x.reduce((sum, v) => sum + (Math.exp(4 * a * v - 2 * stage) + Math.exp(-4 * a * v - 2 * stage)) / (4 * a), 0);
    const gradient = x => { const Kx = times(K, x), sx = sparse(x, a, stage); return y.map((v, i) => Kx[i] + sx[i] - v); };
    for (let iteration = 0; iteration < 100; iteration++) {
      const D = slopes(nu, a, stage), g = gradient(nu), wrong = largest(g);
      let factor = null;  // K may have a low rank, and D be below K's rounding: then a ridge, just large enough
      for (let ridge = 0; !factor; ridge = 10 * ridge || 1e-15 * most) factor = cholesky(K, D.map(v => v + ridge));
      const step = solve(factor, g), decrement = dot(g, step), here = phi(nu);
      // near the minimum phi is flat to rounding, and only the gradient still tells better from worse
      const better = x => phi(x) <= here - 1e-4 * length * decrement || largest(gradient(x)) < 0.9 * wrong;
      let length = 1;
      while (length > 1e-12 && !better(nu.map((v, i) => v - length * step[i]))) length /= 2;
      if (length <= 1e-12) break;
      nu = nu.map((v, i) => v - length * step[i]);
      if (largest(step) * 4 * a < 1e-13) break;  // the relative change of the large entries of s
    }
    if (stage === L) break;
  }
  const s = sparse(nu, alpha, L), Knu = times(K, nu);
  return { nu, s, theta: times(Jt, nu), residual: largest(y.map((v, i) => v - Knu[i] - s[i])) };
}

/** h_gamma(s): see sparseop.linear.implicit_regularizer. */
function regulariser(s, L) {
  const c = 2 * Math.exp(-2 * L), root = Math.hypot(s, c);
  return (s * Math.asinh(s / c) - s * s / (root + c)) / (2 * L);
}
