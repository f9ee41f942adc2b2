// ---- linear algebra on plain arrays of rows, and a random generator that gives the same numbers everywhere ---------
const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };
const times = (M, x) => M.map(row => dot(row, x));
const transposed = M => Array.from(M[0], (_, j) => Float64Array.from(M, row => row[j]));
const product = (A, B) => { const T = transposed(B); return A.map(row => Float64Array.from(T, column => dot(row, column))); };
const gram = J => J.map(row => Float64Array.from(J, other => dot(row, other)));
const largest = x => { let most = 0; for (const v of x) most = Math.max(most, Math.abs(v)); return most; };
const norm = x => Math.sqrt(dot(x, x));
const minus = (a, b) => a.map((v, i) => v - b[i]);

/** Cholesky factor of scale A + diag(extra), or null where that is not positive definite. */
function cholesky(A, extra = null, scale = 1) {
  const n = A.length, L = A.map(() => new Float64Array(n));
  for (let i = 0; i < n; i++) {
    const Li = L[i], Ai = A[i];
    for (let j = 0; j <= i; j++) {
      const Lj = L[j];
      let sum = scale * Ai[j] + (extra && i === j ? extra[i] : 0);
      for (let k = 0; k < j; k++) sum -= Li[k] * Lj[k];
      if (i > j) Li[j] = sum / Lj[j]; else if (sum > 0) Li[i] = Math.sqrt(sum); else return null;
    }
  }
  return L;
}
function solve(L, b) {
  const n = L.length, x = Float64Array.from(b);
  for (let i = 0; i < n; i++) { const Li = L[i]; let sum = x[i]; for (let k = 0; k < i; k++) sum -= Li[k] * x[k]; x[i] = sum / Li[i]; }
  for (let i = n - 1; i >= 0; i--) { x[i] /= L[i][i]; const xi = x[i], Li = L[i]; for (let k = 0; k < i; k++) x[k] -= Li[k] * xi; }
  return x;
}

/** mulberry32, and Box-Muller on it. */
function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => { state = (state + 0x6D2B79F5) | 0; let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const permutation = n => Array.from({ length: n }, (_, i) => [uniform(), i]).sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
  const matrix = (m, n) => Array.from({ length: m }, () => Float64Array.from({ length: n }, normal));
  return { uniform, normal, permutation, matrix };
}
const short = x => !Number.isFinite(x) ? "none" : x === 0 ? "0" : Math.abs(x) < 1e-3 || Math.abs(x) >= 1e4 ? x.toExponential(1).replace("e", " · 10^") : String(+x.toPrecision(3));
/** A number for a sentence; below the rounding of the arithmetic it is not worth its digits. */
const small = x => Math.abs(x) < 1e-13 ? "below rounding" : html(short(x));
const html = text => text.replace(/10\^(-?\+?\d+)/, (_, e) => `10<sup>${String(+e).replace("-", "−")}</sup>`);
const percent = x => x < 1e-4 ? "less than 0.01 %" : `${+(100 * x).toPrecision(2)} %`;
