"""The network of the SANE paper, eq. (6): f(W, x) = v^T phi(W x), with v fixed, and its Jacobian and covariance.

=============  ==============================================================  ==========
symbol         meaning                                                         shape
=============  ==============================================================  ==========
W              trained weights                                                 (k, d)
v              output weights, half 1/sqrt(k), half -1/sqrt(k)                 (k,)
J(W, X)        Jacobian of f(W, X) in W, Definition 6                          (n, k d)
Sigma(C)       (C C^T) . E phi'(C u) phi'(C u)^T, u ~ N(0, I), Assumption 2    (K, K)
lambda(C)      its smallest eigenvalue
=============  ==============================================================  ==========

Sigma(C) is the mean of J(W, C) J(W, C)^T over Gaussian W: it tells how well the network can tell the centres apart.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, Seed, array, choice, fits, integer
from sparseop.refinery.streams import stream


@dataclass(frozen=True)
class Activation:
    """phi with what the theory needs to know of it.

    Attributes
    ----------
    fill : (Z, S) -> None replaces Z by phi(Z) and S by phi'(Z), in Z's precision and without new memory for tanh.
    slope, curvature : max |phi'| and max |phi''|.
    at_zero : phi(0).
    """

    name: str
    fill: Callable[[Any, Any], None]
    slope: float
    curvature: float
    at_zero: float

    @property
    def Gamma(self) -> float:
        """Smallest constant >= 1 with |phi(0)|, |phi'|, |phi''| <= Gamma (Assumption 1): 1 for all three of ours."""
        return max(1.0, abs(self.at_zero), self.slope, self.curvature)

    def both(self, z: Any) -> tuple[Any, Any]:
        """Return (phi(z), phi'(z)) in new arrays."""
        values = np.array(z)
        slopes = np.empty_like(values)
        self.fill(values, slopes)
        return values, slopes


def _tanh(Z: Any, S: Any) -> None:
    np.tanh(Z, out=Z)
    np.multiply(Z, Z, out=S)
    np.subtract(1, S, out=S)


def _sigmoid(Z: Any, S: Any) -> None:
    # (1 + tanh(z/2)) / 2 is the logistic function without overflow, and numpy's tanh is vectorised
    Z *= 0.5
    _tanh(Z, S)
    S *= 0.25
    Z += 1
    Z *= 0.5


def _softplus(Z: Any, S: Any) -> None:
    np.multiply(Z, 0.5, out=S)
    np.tanh(S, out=S)
    S += 1
    S *= 0.5  # the logistic function again
    # log(1 + e^-|z|), not log1p: numpy vectorises only the first, and its error is one unit in the last place of 1
    tail = np.abs(Z)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    tail += 1
    np.log(tail, out=tail)
    np.maximum(Z, 0, out=Z)
    Z += tail


ACTIVATIONS = {
    "tanh": Activation("tanh", _tanh, 1.0, 4 / (3 * np.sqrt(3)), 0.0),
    "softplus": Activation("softplus", _softplus, 1.0, 0.25, float(np.log(2))),
    "sigmoid": Activation("sigmoid", _sigmoid, 0.25, 1 / (6 * np.sqrt(3)), 0.5),
}


@dataclass(frozen=True, eq=False)
class OneHiddenLayer:
    """f(W, x) = v^T phi(W x), eq. (6); v is fixed, only W is ever trained.

    Parameters
    ----------
    W : (k, d), k even so that half the output weights are positive.
    activation : "tanh", "softplus" or "sigmoid".

    Raises
    ------
    InputError
        for an odd width, an unknown activation, NaN or infinity.
    """

    W: FloatArray
    activation: str = "tanh"
    phi: Activation = field(init=False, repr=False)
    v: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        W = array("W", self.W, (None, None))
        choice("activation", self.activation, ACTIVATIONS)
        k = len(W)
        if k % 2:
            raise InputError(f"W must have an even number of rows, half for each sign of v, got {k}.")
        W = W.view()
        W.flags.writeable = False
        object.__setattr__(self, "W", W)
        object.__setattr__(self, "phi", ACTIVATIONS[self.activation])
        object.__setattr__(self, "v", np.repeat([1.0, -1.0], k // 2) / np.sqrt(k))

    @classmethod
    def gaussian(cls, width: int, dim: int, activation: str = "tanh", *, seed: Seed) -> "OneHiddenLayer":
        """Draw W_0 with independent N(0, 1) entries (Assumption 1)."""
        k = integer("width", width, 2)
        d = integer("dim", dim, 1)
        if k % 2:
            raise InputError(f"width must be even, half for each sign of v, got {k}.")
        fits(f"a network of width {k} for inputs of length {d}", k * d)
        return cls(stream(seed, "network").standard_normal((k, d)), activation)

    @property
    def width(self) -> int:
        """Number of hidden units k."""
        return len(self.W)

    def at(self, W: Any) -> "OneHiddenLayer":
        """Return the same network with other weights."""
        return OneHiddenLayer(array("W", W, self.W.shape, what="the network's"), self.activation)

    def __call__(self, X: Any) -> FloatArray:
        """Return f(W, X), shape (n,)."""
        values, _ = self.phi.both(self._rows(X) @ self.W.T)
        return np.asarray(values @ self.v)

    def jacobian(self, X: Any) -> FloatArray:
        """Return J(W, X), shape (n, k d).

        Row i is v . phi'(W x_i) (Kronecker) x_i, Definition 6's Khatri-Rao product.
        """
        X = self._rows(X)
        fits(f"the Jacobian of {len(X)} inputs and {self.W.size} weights", 2 * len(X) * self.W.size)
        _, slopes = self.phi.both(X @ self.W.T)
        return np.asarray((slopes * self.v)[:, :, None] * X[:, None, :]).reshape(len(X), -1)

    def gram(self, X: Any) -> FloatArray:
        """Return J J^T, shape (n, n), as (X X^T) . (D D^T) with D = phi'(X W^T) diag(v): no (n, k d) matrix."""
        X = self._rows(X)
        _, slopes = self.phi.both(X @ self.W.T)
        D = slopes * self.v
        return np.asarray((X @ X.T) * (D @ D.T))

    def input_gradient(self, X: Any) -> FloatArray:
        """Return the gradient of f in x at every row of X, W^T (v . phi'(W x)), shape (n, d)."""
        _, slopes = self.phi.both(self._rows(X) @ self.W.T)
        return np.asarray((slopes * self.v) @ self.W)

    def _rows(self, X: Any) -> FloatArray:
        return array("X", X, (None, self.W.shape[1]), what="one column per input of the network", moderate=True)


def network_covariance(C: Any, activation: str = "tanh", *, nodes: int = 120) -> FloatArray:
    """Return Sigma(C) = (C C^T) . E phi'(C u) phi'(C u)^T (Assumption 2), shape (K, K).

    For unit rows the entry depends on the cosine c alone: E phi'(a) phi'(b) with a, b standard normal of correlation c,
    here a = s z + t w, b = s z - t w with s^2 = (1 + c)/2, t^2 = (1 - c)/2, by tensor Gauss-Hermite quadrature
    (``nodes``, 2 to 1000, in each direction; 120 give ten digits for tanh, and all for softplus and sigmoid).

    Raises
    ------
    InputError
        for rows that are not unit vectors or an unknown activation.
    """
    C = array("C", C, (None, None))
    phi = ACTIVATIONS[choice("activation", activation, ACTIVATIONS)]
    nodes = integer("nodes", nodes, 2, 1000)
    norms = np.linalg.norm(C, axis=1)
    if np.abs(norms - 1).max() > 1e-6:
        worst = int(np.argmax(np.abs(norms - 1)))
        raise InputError(f"C must have unit rows, row {worst} has norm {norms[worst]:.6g}.")
    z, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / np.sqrt(2 * np.pi)
    cosines = np.clip(C @ C.T, -1, 1)
    # each cosine once: the matrix is symmetric
    unique, place = np.unique(cosines, return_inverse=True)
    means = np.empty(len(unique))
    for i, c in enumerate(unique):
        s, t = np.sqrt((1 + c) / 2), np.sqrt((1 - c) / 2)
        a, b = s * z[:, None] + t * z[None, :], s * z[:, None] - t * z[None, :]
        means[i] = weight @ (phi.both(a)[1] * phi.both(b)[1]) @ weight
    return np.asarray(cosines * means[place].reshape(cosines.shape))


def smallest_eigenvalue(C: Any, activation: str = "tanh") -> float:
    """Return lambda(C), the smallest eigenvalue of Sigma(C)."""
    return float(np.linalg.eigvalsh(network_covariance(C, activation))[0])
