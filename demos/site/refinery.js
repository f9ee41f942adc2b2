// ---- the label refinery of the SANE paper: f(x) = v^T tanh(W x), descent on (1 - alpha) y + alpha f(x~) --------------
function refineryData({ rho, eps, seed, centres = 10, crops = 24, dim = 12 }) {
  const { normal, uniform, permutation } = generator(seed);
  const unit = () => { const x = Float64Array.from({ length: dim }, normal), size = norm(x); return x.map(v => v / size); };
  const C = [];
  for (let tries = 0; C.length < centres && tries < 4000; tries++) {
    const c = unit();
    if (C.every(other => norm(minus(c, other)) >= 2 * eps)) C.push(c);
  }
  const crop = c => {  // (nearly) uniform on the cap of chordal radius eps, as sparseop.refinery.data.crop
    let u = unit(); const along = dot(u, c); u = u.map((v, i) => v - along * c[i]); const size = norm(u);
    const chord = eps * uniform() ** (1 / (dim - 1)), cosine = 1 - chord * chord / 2, sine = chord * Math.sqrt(1 - chord * chord / 4);
    const x = c.map((v, i) => cosine * v + sine * u[i] / size), length = norm(x);
    return x.map(v => v / length);
  };
  const X = [], star = [], y = [], cluster = [], test = [], testStar = [];
  C.forEach((c, k) => {
    const wrong = new Set(permutation(crops).slice(0, Math.floor(rho * crops + 1e-9)));
    for (let m = 0; m < crops; m++) {
      const truth = k % 2 ? 1 : -1;
      X.push(crop(c)); cluster.push(k); star.push(truth); y.push(wrong.has(m) ? -truth : truth);
      test.push(crop(c)); testStar.push(truth);
    }
  });
  return { X, y, star, cluster, C, test, testStar, crops };
}
function refineryNetwork({ seed, width = 60, dim = 12 }) {
  const { matrix } = generator(seed + 1000003), v = Float64Array.from({ length: width }, (_, i) => (i < width / 2 ? 1 : -1) / Math.sqrt(width));
  return { W: matrix(width, dim), v };
}
function hidden(W, X) { return X.map(x => Float64Array.from(W, row => Math.tanh(dot(row, x)))); }
const outputs = (H, v) => H.map(h => dot(h, v));

/** 1 / lambda_max(J J^T) at the start: half of what makes descent unstable there. */
function largestStep({ W, v }, X) {
  const H = hidden(W, X), S = H.map(h => h.map((t, k) => v[k] * (1 - t * t)));  // J_ik = S_ik x_i
  const multiply = q => {  // J J^T q = J vec(sum_i q_i S_ik x_i)
    const G = W.map(row => new Float64Array(row.length));
    for (let i = 0; i < X.length; i++) for (let k = 0; k < W.length; k++) { const c = q[i] * S[i][k], Gk = G[k], x = X[i]; for (let j = 0; j < x.length; j++) Gk[j] += c * x[j]; }
    return X.map((x, i) => { let sum = 0; for (let k = 0; k < W.length; k++) sum += S[i][k] * dot(G[k], x); return sum; });
  };
  let q = X.map((_, i) => 1 + 0.01 * (i % 7)), top = 0;
  for (let round = 0; round < 200; round++) { const size = norm(q); q = multiply(q.map(t => t / size)); if (Math.abs(norm(q) - top) < 1e-10 * top) break; top = norm(q); }
  return 1 / norm(q);
}

/** One step in place. ``positive``: "self" (x~ = x) or "cluster" (another crop of the centre, each once a step). */
function refine(state, data, { alpha, eta, positive }, random) {
  const { W, v } = state, { X, y, crops } = data, H = hidden(W, X), f = outputs(H, v);
  let judged = f;
  if (alpha > 0 && positive === "cluster") {
    judged = new Array(f.length);
    for (let start = 0; start < f.length; start += crops) {
      const order = random.permutation(crops);  // a cycle: every crop is once a positive, never its own
      order.forEach((m, place) => { judged[start + m] = f[start + order[(place + 1) % crops]]; });
    }
  }
  for (let i = 0; i < X.length; i++) {
    const r = f[i] - ((1 - alpha) * y[i] + alpha * judged[i]), x = X[i], h = H[i];
    for (let k = 0; k < W.length; k++) { const c = eta * r * v[k] * (1 - h[k] * h[k]), row = W[k]; for (let j = 0; j < x.length; j++) row[j] -= c * x[j]; }
  }
  return { f, refined: f.map((_, i) => (1 - alpha) * y[i] + alpha * judged[i]) };
}
