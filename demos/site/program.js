// ---- the l1 program (26): min 1/2 |theta|^2 + lam |s|_1, y = J theta + s --------------------------------------------
/** Through its dual, max y^T nu - 1/2 |J^T nu|^2 over the box |nu_i| <= lam, by Mehrotra's predictor and corrector; the
    duality gap of what is returned certifies it. See sparseop.linear.solve_convex, which is a thousand times faster. */
function program({ K, y, Jt }, lam) {
  const n = y.length, clip = v => Math.max(-lam, Math.min(lam, v));
  let nu = new Float64Array(n), z = y.map(v => Math.max(v, 0) + 0.1 * lam + 1e-3 * largest(y) + 1e-12), w = y.map(v => Math.max(-v, 0) + 0.1 * lam + 1e-3 * largest(y) + 1e-12);
  let best = { gap: Infinity };
  for (let iteration = 0; iteration < 60; iteration++) {
    const a = nu.map(v => lam - v), b = nu.map(v => lam + v), Knu = times(K, nu);
    const inside = nu.map(clip), theta = times(Jt, inside), s = minus(y, times(K, inside));
    const half = 0.5 * dot(theta, theta), one = s.reduce((sum, v) => sum + Math.abs(v), 0);
    const gap = (half + lam * one - (dot(y, inside) - half)) / Math.max(half, 1e-300);  // of theta: relative to 1/2 |theta|^2
    if (gap < best.gap) best = { gap, nu: inside, theta, s, iterations: iteration };
    if (gap < 1e-11) break;
    const rest = y.map((v, i) => v - Knu[i] - z[i] + w[i]), mu = (dot(z, a) + dot(w, b)) / (2 * n);
    const D = z.map((v, i) => v / a[i] + w[i] / b[i]), factor = cholesky(K, D);
    if (!factor) break;
    const direction = (left, right) => {  // left, right: what z a and w b should change by
      const dnu = solve(factor, rest.map((v, i) => v - left[i] / a[i] + right[i] / b[i]));
      return [dnu, dnu.map((v, i) => (left[i] + z[i] * v) / a[i]), dnu.map((v, i) => (right[i] - w[i] * v) / b[i])];
    };
    const reach = (dnu, dz, dw) => {
      let length = 1;
      for (let i = 0; i < n; i++) {
        if (dnu[i] > 0) length = Math.min(length, a[i] / dnu[i]); else if (dnu[i] < 0) length = Math.min(length, -b[i] / dnu[i]);
        if (dz[i] < 0) length = Math.min(length, -z[i] / dz[i]);
        if (dw[i] < 0) length = Math.min(length, -w[i] / dw[i]);
      }
      return length;
    };
    const [n1, z1, w1] = direction(z.map((v, i) => -v * a[i]), w.map((v, i) => -v * b[i]));
    const far = reach(n1, z1, w1);
    let after = 0;
    for (let i = 0; i < n; i++) after += (z[i] + far * z1[i]) * (a[i] - far * n1[i]) + (w[i] + far * w1[i]) * (b[i] + far * n1[i]);
    const centre = mu * (after / (2 * n) / mu) ** 3;
    const [dnu, dz, dw] = direction(z.map((v, i) => centre - v * a[i] + z1[i] * n1[i]), w.map((v, i) => centre - v * b[i] - w1[i] * n1[i]));
    const length = Math.min(1, 0.995 * reach(dnu, dz, dw));
    nu = nu.map((v, i) => v + length * dnu[i]); z = z.map((v, i) => v + length * dz[i]); w = w.map((v, i) => v + length * dw[i]);
  }
  return best;
}
