"""The constants of the SANE paper's Theorems 2, 6, 7 and 8: as defined in the proofs, beside what is measured.

Everything the proofs write out is used with their numbers: alpha' and beta (Theorem 4, D.2.6), R (D.2.6), t_0 (Theorem
6), the conditions (55) and the bounds (56). What they leave inside O(.) is not invented here.

Effective time is the sum of eta (1 - alpha_s): with x~ = x the refinery is gradient descent in it, so t_0 holds for the
refinery when counted in it, and not when counted in steps (docs/errata.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, array, instance, moderate, nonnegative
from sparseop.refinery.data import CorruptedDataset
from sparseop.refinery.descent import Refinement
from sparseop.refinery.network import OneHiddenLayer, smallest_eigenvalue
from sparseop.refinery.schedules import discounted_variation, schedule, variation


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of the Jacobian on the support subspace and on its complement, decreasing (Assumption 3).

    ``plus`` has K values: alpha is the last, beta the first. ``minus`` has n - K values: the first is Assumption 3's
    epsilon.
    """

    plus: FloatArray
    minus: FloatArray


@dataclass(frozen=True)
class TheoryConstants:
    """Defined constants (of the data, W_0 and the schedule) and, where a run was given, measured ones.

    Attributes
    ----------
    lam : lambda(C).
    C_norm : spectral norm of the centres' matrix.
    alpha_prime, alpha : alpha' = sqrt(c_low n lambda / (2 K)) and alpha = alpha' / 2, valid on the ball of radius R.
    beta : sqrt(c_up n / K) Gamma |C|.
    L : Gamma |C| sqrt(c_up n / (k K)), Lipschitz constant of the Jacobian.
    r0 : |f(W_0, X) - y|_2, Theta in (55) and (56).
    psi_1, psi_2, psi : 2 sqrt(n) sum |d alpha_t| / r0, the same discounted / r0^2, and psi' = 1 + psi_1/2 +
        sqrt(psi_2).
    R : 4 (1 + psi_1) r0 / alpha.
    eta_max : min(1, alpha beta / (L r0)) / (2 beta^2) (Theorem 6).
    time_0 : 5 / alpha^2 log(r0 / (2 rho)), the effective time after which Theorem 6 promises |f - y*|_inf <= 4 rho.
    t_0 : the paper's count of steps, 5 / (eta alpha^2) log(r0 / ((1 - alpha_max) 2 rho)).
    eps_max, width_min : the largest eps and the smallest k for which (55) holds at time_0, so that (56) is proven.
    width_min_ball : the smallest k for which (36), L R <= alpha, holds.
    zeta : 4 rho + 8 time_0 (1 + psi') Gamma eps r0 beta, the paper's zeta with the constant that (56) gives.
    alpha_measured, beta_measured : smallest and largest singular value of J(W_0, X~) on S+, X~ the centres.
    noise_measured : largest singular value of J(W_0, X) on S-, Assumption 3's epsilon.
    distance_measured : largest |W_t - W_0|_F of the run (to compare with R).
    time_measured : effective time after which the run kept |f - y*|_inf <= 4 rho (NaN if it never did, or without a
        run).
    zeta_measured : |f(W_t, X) - y*|_2 / sqrt(n) at the run's end.
    """

    lam: float
    C_norm: float
    alpha_prime: float
    alpha: float
    beta: float
    L: float
    r0: float
    psi_1: float
    psi_2: float
    psi: float
    R: float
    eta_max: float
    time_0: float
    t_0: float
    eps_max: float
    width_min: float
    width_min_ball: float
    zeta: float
    alpha_measured: float
    beta_measured: float
    noise_measured: float
    distance_measured: float
    time_measured: float
    zeta_measured: float


def jacobian_spectrum(data: CorruptedDataset, network: OneHiddenLayer) -> Spectrum:
    """Return the singular values of v -> J(W, X)^T v for v in S+ and for v in S-.

    Raises
    ------
    InputError
        when there is no S-, every cluster having one crop.
    """
    n, K = data.n, data.n_centres
    if n == K:
        raise InputError("data must have more crops than centres, S- is empty otherwise.")
    gram = network.gram(data.X)
    basis = np.zeros((n, K))
    basis[np.arange(n), data.cluster] = 1 / np.sqrt(data.sizes[data.cluster])
    across = basis.T @ gram
    inside = gram - basis @ across
    inside -= (inside @ basis) @ basis.T
    plus = np.linalg.eigvalsh(across @ basis)[::-1]
    minus = np.linalg.eigvalsh((inside + inside.T) / 2)[::-1][: n - K]
    return Spectrum(np.sqrt(np.maximum(plus, 0)), np.sqrt(np.maximum(minus, 0)))


def theory_constants(
    data: CorruptedDataset,
    network: OneHiddenLayer,
    *,
    eta: float,
    steps: int,
    alpha: Any = 0.0,
    run: Refinement | None = None,
) -> TheoryConstants:
    """Compute every constant as the proofs define it, and as it is.

    Parameters
    ----------
    data, network : the data set and the network at W_0.
    eta, steps, alpha : of the run that is (or would be) made, as for ``refine``.
    run : what ``refine`` returned for them.

    Raises
    ------
    InputError
        for an argument outside its range, or rho = 0, where the theorems' logarithms are infinite.
    """
    instance("data", data, CorruptedDataset)
    instance("network", network, OneHiddenLayer)
    eta = moderate("eta", eta)
    alphas = schedule(alpha, steps)
    n, K, k = data.n, data.n_centres, network.width
    if data.rho == 0:
        raise InputError("data must have wrong labels: with rho = 0 the theorems' t_0 is infinite.")
    Gamma = network.phi.Gamma
    nu = 2 * data.rho
    C_norm = float(np.linalg.norm(data.centres, 2))
    lam = smallest_eigenvalue(data.centres, network.activation)
    nonnegative("lambda(C)", lam)
    alpha_prime = float(np.sqrt(data.c_low * n * lam / (2 * K)))
    a = alpha_prime / 2
    beta = float(np.sqrt(data.c_up * n / K) * Gamma * C_norm)
    L = beta / np.sqrt(k)
    r0 = float(np.linalg.norm(network(data.X) - data.y))
    psi_1 = 2 * np.sqrt(n) * variation(alphas) / r0
    psi_2 = 2 * np.sqrt(n) * discounted_variation(alphas, min(eta * a**2 / 4, 1.0)) / r0**2
    psi = 1 + psi_1 / 2 + np.sqrt(psi_2)
    R = 4 * (1 + psi_1) * r0 / a
    time_0 = 5 / a**2 * np.log(r0 / nu)
    left = 1 - float(alphas.max())
    L_max = 2 / (5 * time_0 * r0 * (1 + 8 * time_0 * beta**2))
    clean, noisy = jacobian_spectrum(data.at_centres(), network), jacobian_spectrum(data, network)
    return TheoryConstants(
        lam=lam,
        C_norm=C_norm,
        alpha_prime=alpha_prime,
        alpha=a,
        beta=beta,
        L=L,
        r0=r0,
        psi_1=psi_1,
        psi_2=psi_2,
        psi=psi,
        R=R,
        eta_max=min(1, a * beta / (L * r0)) / (2 * beta**2),
        time_0=time_0,
        t_0=5 / (eta * a**2) * np.log(r0 / (left * nu)) if left > 0 else float("inf"),
        eps_max=1 / (8 * time_0 * beta * Gamma * np.sqrt(n)),
        width_min=(beta / L_max) ** 2,
        width_min_ball=(beta * R / a) ** 2,
        zeta=4 * data.rho + 8 * time_0 * (1 + psi) * Gamma * data.eps * r0 * beta,
        alpha_measured=float(clean.plus[-1]),
        beta_measured=float(clean.plus[0]),
        noise_measured=float(noisy.minus[0]),
        distance_measured=float("nan") if run is None else float(run.distance.max()),
        time_measured=float("nan") if run is None else _time_within(run, 4 * data.rho),
        zeta_measured=float("nan") if run is None else float(run.error[-1]),
    )


def trajectory_bounds(data: CorruptedDataset, network: OneHiddenLayer, time: Any, psi: float = 1.0) -> tuple[Any, Any]:
    """Return the bounds (56) on |f(W_t, X) - f(W~_t, X~)|_2 and |W_t - W~_t|_F at the given effective times.

    p = 8 time (1 + psi') Gamma sqrt(n) eps r0 beta and d = 2 time Gamma sqrt(n) eps r0 (psi' + 8 time beta^2), where
    the paper's t_0 in d is t itself, the sharpest choice.
    """
    beta = (
        float(np.sqrt(data.c_up * data.n / data.n_centres)) * network.phi.Gamma * float(np.linalg.norm(data.centres, 2))
    )
    r0 = float(np.linalg.norm(network(data.X) - data.y))
    slope = network.phi.Gamma * np.sqrt(data.n) * data.eps * r0
    psi = nonnegative("psi", psi)
    time = array("time", time, None, moderate=True).reshape(np.shape(time))[()]
    return 8 * time * (1 + psi) * slope * beta, 2 * time * slope * (psi + 8 * time * beta**2)


def _time_within(run: Refinement, bound: float) -> float:
    outside = np.flatnonzero(run.error_max > bound)
    if len(outside) == 0:
        return float(run.time[0])
    return float(run.time[outside[-1] + 1]) if outside[-1] + 1 < len(run.time) else float("nan")
