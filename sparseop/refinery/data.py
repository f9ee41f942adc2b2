"""Definition 1 of the SANE paper: crops of K unit vectors ("centres"), some of which carry a wrong class label.

======  ==============================================================  =========
symbol  meaning                                                         shape
======  ==============================================================  =========
C       centres, the vanilla samples; unit rows, 2 eps apart            (K, d)
X       crops (augmentations); unit rows, within eps of their centre    (n, d)
y, y*   training labels and true labels, both among the gammas          (n,)
gamma   one scalar label for each semantic class, in [-1, 1]            (Kbar,)
S+      vectors that are constant on every cluster (Definition 3)       dim K
======  ==============================================================  =========

S+ is the support subspace: were every crop its centre, the network's Jacobian would range in it (Theorem 4).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import FloatArray, InputError, Seed, array, between, choice, fits, integer, nonnegative
from sparseop.refinery.streams import stream

IntArray = NDArray[np.intp]
CORRUPTIONS = ("random", "farthest")
_UNIT = 1e-6  # how far from 1 the norm of a row may be: float32 data pass, unnormalised data do not
_TRIES = 2000  # random centres refused before giving up; a cap that can be packed at all is found long before


@dataclass(frozen=True, eq=False)
class CorruptedDataset:
    """A (rho, eps, delta)-corrupted dataset; rho, eps and delta are those of the data, not of a request.

    Build one with ``corrupted_dataset`` or from own data by naming the fields.

    Parameters
    ----------
    X, y, y_star : crops (n, d), training labels (n,), true labels (n,).
    cluster : (n,) index of each crop's centre, 0 to K - 1, no cluster empty.
    centres : (K, d).
    gammas : (Kbar,) increasing labels of the classes, in [-1, 1].

    Raises
    ------
    InputError
        for rows that are not unit vectors, labels that are not among ``gammas``, an empty or contradictory cluster.
    """

    X: FloatArray
    y: FloatArray
    y_star: FloatArray
    cluster: IntArray
    centres: FloatArray
    gammas: FloatArray

    def __post_init__(self) -> None:
        X = array("X", self.X, (None, None))
        n, d = X.shape
        centres = array("centres", self.centres, (None, d), what="one column per column of X")
        gammas = array("gammas", self.gammas, (None,))
        try:
            cluster = np.asarray(self.cluster)
        except ValueError:
            raise InputError(
                f"cluster must be whole numbers of shape ({n},), got lists of different lengths."
            ) from None
        if cluster.shape != (n,) or cluster.dtype.kind not in "iu":
            raise InputError(
                f"cluster must be whole numbers of shape ({n},), got {cluster.dtype} of shape {cluster.shape}."
            )
        if set(np.unique(cluster)) != set(range(len(centres))):
            raise InputError(f"cluster must use every index from 0 to K - 1 = {len(centres) - 1} and no other.")
        for name, rows in (("X", X), ("centres", centres)):
            norms = np.linalg.norm(rows, axis=1)
            worst = int(np.argmax(np.abs(norms - 1)))
            if abs(norms[worst] - 1) > _UNIT:
                raise InputError(f"{name} must have unit rows (Definition 1), row {worst} has norm {norms[worst]:.6g}.")
        if np.any(np.diff(gammas) <= 0) or gammas[0] < -1 or gammas[-1] > 1:
            raise InputError(f"gammas must increase inside [-1, 1], got {gammas.tolist()}.")
        fields: dict[str, Any] = {"X": X, "centres": centres, "gammas": gammas, "cluster": cluster.astype(np.intp)}
        for name in ("y", "y_star"):
            labels = array(name, getattr(self, name), (n,), what="one entry per row of X")
            if not np.isin(labels, gammas).all():
                raise InputError(f"{name} must hold labels among gammas, got {labels[~np.isin(labels, gammas)][0]:g}.")
            fields[name] = labels
        for k in range(len(centres)):
            if np.ptp(fields["y_star"][cluster == k]) > 0:
                raise InputError(f"y_star must be one label for each cluster, cluster {k} has several.")
        for name, value in fields.items():
            view = value.view()  # the array itself may be the user's, who may go on writing to it
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def n(self) -> int:
        """Number of crops."""
        return len(self.X)

    @property
    def n_centres(self) -> int:
        """K, the number of centres, the dimension of S+."""
        return len(self.centres)

    @cached_property
    def sizes(self) -> IntArray:
        """n_i, the number of crops of each centre (K,)."""
        return np.bincount(self.cluster, minlength=self.n_centres)

    @cached_property
    def c_low(self) -> float:
        """The constant of Definition 1 with n_i >= c_low n / K for all i."""
        return float(self.sizes.min() * self.n_centres / self.n)

    @cached_property
    def c_up(self) -> float:
        """The constant of Definition 1 with n_i <= c_up n / K for all i."""
        return float(self.sizes.max() * self.n_centres / self.n)

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Which training labels are wrong (n,)."""
        return np.asarray(self.y != self.y_star)

    @cached_property
    def rho(self) -> float:
        """Largest share of wrong labels in a cluster."""
        return float((np.bincount(self.cluster, self.wrong, self.n_centres) / self.sizes).max())

    @cached_property
    def eps(self) -> float:
        """Largest distance of a crop from its centre."""
        return float(np.linalg.norm(self.X - self.centres[self.cluster], axis=1).max())

    @cached_property
    def delta(self) -> float:
        """Smallest distance between two class labels (infinite for a single class)."""
        return float(np.diff(self.gammas).min()) if len(self.gammas) > 1 else float("inf")

    @cached_property
    def centre_labels(self) -> FloatArray:
        """The true label of each centre (K,)."""
        labels = np.empty(self.n_centres)
        labels[self.cluster] = self.y_star
        return labels

    def plus(self, values: FloatArray) -> FloatArray:
        """Return P_S+ values: every entry replaced by the mean of its cluster; ``values`` (n,)."""
        values = array("values", values, (self.n,), what="one for each crop")
        return (np.bincount(self.cluster, values, self.n_centres) / self.sizes)[self.cluster]

    def minus(self, values: FloatArray) -> FloatArray:
        """Return P_S- values = values - P_S+ values."""
        return np.asarray(values) - self.plus(values)

    @cached_property
    def diffusedness(self) -> float:
        """The smallest zeta of Definition 4, |v|_inf <= sqrt(zeta / n) |v|_2 on S+: n / min n_i = K / c_low."""
        return float(self.n / self.sizes.min())

    def nearest(self, values: FloatArray) -> FloatArray:
        """Return the class label nearest to each value, the argmin of Theorem 2."""
        values = array("values", values, None).reshape(np.shape(values))
        middles = (self.gammas[1:] + self.gammas[:-1]) / 2
        return self.gammas[np.searchsorted(middles, values)]

    def at_centres(self) -> "CorruptedDataset":
        """Return the same labels on the noiseless inputs: every crop moved onto its centre (eps = 0, Theorem 7)."""
        return replace(self, X=self.centres[self.cluster])


def corrupted_dataset(
    n_centres: int,
    dim: int,
    crops: Any,
    *,
    rho: float,
    eps: float,
    n_classes: int = 2,
    delta: float | None = None,
    corruption: str = "random",
    centres: Any = None,
    seed: Seed,
) -> CorruptedDataset:
    """Draw a (rho, eps, delta)-corrupted dataset (SANE paper, Definition 1).

    Centres are uniform on the sphere, redrawn until 2 eps apart; centre i belongs to class i mod Kbar. Crops are
    (nearly) uniform on the spherical cap of chordal radius eps. Labels are equally spaced by delta around 0. In every
    cluster exactly floor(rho n_i) labels are replaced by another class's.

    Parameters
    ----------
    n_centres, dim : K >= 1 and d >= 2.
    crops : crops for each centre, one number or K numbers n_i.
    rho : share of wrong labels in a cluster, in [0, 1/2).
    eps : radius of the crops, in [0, 1]; 0 makes every crop its centre.
    n_classes : Kbar, 1 to K.
    delta : distance between neighbouring labels; default: the largest that fits, 2 / (Kbar - 1).
    corruption : "random", a wrong label is any other class's; "farthest", it is the most distant one, Lemma 8's worst.
    centres : (K, d) unit rows to use instead of random ones.
    seed : a whole number, a ``numpy.random.SeedSequence`` or a ``numpy.random.Generator``.

    Raises
    ------
    InputError
        for a size that memory can't hold, a delta that does not fit Kbar labels into [-1, 1], a rho outside [0, 1/2),
        centres nearer than 2 eps, or an eps for which no such centres were found.
    """
    K = integer("n_centres", n_centres, 1)
    d = integer("dim", dim, 2)
    classes = integer("n_classes", n_classes, 1, K, why="n_centres")
    rho = between("rho", rho, 0, 0.5, ends="[)")
    eps = between("eps", eps, 0, 1, ends="[]")
    choice("corruption", corruption, CORRUPTIONS)
    if rho > 0 and classes == 1:
        raise InputError("rho must be 0 where n_classes is 1: a single class has no wrong label to give.")
    widest = 2 / (classes - 1) if classes > 1 else 2.0
    if delta is None:
        delta = widest
    delta = between("delta", delta, 0, 2, ends="(]") if classes == 1 else _fitting(delta, classes, widest)
    sizes = _sizes(crops, K)
    if max(sizes) > 2**53:
        raise InputError(f"crops must be <= 2^53, got {max(sizes)}.")
    fits(
        f"{sum(map(int, sizes))} crops of length {d} and {K} centres",
        (4 * sum(map(int, sizes)) + (2 if centres is None else K) * K) * d,
    )
    rng = stream(seed, "dataset")
    C = _centres(K, d, eps, rng) if centres is None else _own_centres(centres, K, d, eps)
    gammas: FloatArray = np.asarray(delta * (np.arange(classes) - (classes - 1) / 2), dtype=np.float64)
    cluster = np.repeat(np.arange(K), sizes)
    label = np.arange(K)[cluster] % classes
    given = label.copy()
    for k in range(K):
        start = int(sizes[:k].sum())
        # the epsilon keeps 0.3 * 50 = 15 from being rounded down to 14
        some = start + rng.permutation(sizes[k])[: int(np.floor(rho * sizes[k] + 1e-9))]
        if corruption == "random":
            given[some] = (label[some] + rng.integers(1, max(classes, 2), len(some))) % classes
        else:
            given[some] = np.where(label[some] < classes / 2, classes - 1, 0)
    return CorruptedDataset(crop(C[cluster], eps, rng), gammas[given], gammas[label], cluster, C, gammas)


def crop(centres: Any, eps: float, rng: np.random.Generator) -> Any:
    """Return one random crop of each row: x = cos(a) c + sin(a) u with a random unit u orthogonal to c, |x - c| <= eps.

    The chord |x - c| = 2 sin(a / 2) is eps U^(1/(d - 1)), the law of a uniform point of a flat cap. Computed in the
    precision of ``centres``.
    """
    m, d = centres.shape
    u = rng.standard_normal((m, d), dtype=centres.dtype)
    u -= np.einsum("ij,ij->i", u, centres)[:, None] * centres
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    chord = centres.dtype.type(eps) * rng.random((m, 1), dtype=centres.dtype) ** (1 / (d - 1))
    cosine = 1 - chord**2 / 2
    x = cosine * centres + chord * np.sqrt(1 - chord**2 / 4) * u
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _fitting(delta: float, classes: int, widest: float) -> float:
    if not 0 < nonnegative("delta", delta) <= widest * (1 + 1e-12):
        raise InputError(
            f"delta must lie in (0, {widest:g}] for n_classes={classes}, so that the labels fit into [-1, 1], got"
            f" {delta!r}."
        )
    return min(float(delta), widest)


def _sizes(crops: Any, K: int) -> IntArray:
    try:
        shape = np.shape(crops)
    except ValueError:
        shape = (0, 0)
    if shape == ():
        fits(f"{K} centres", 4 * K)
        return np.full(K, integer("crops", crops, 1))
    if len(shape) != 1:
        raise InputError(f"crops must be one number or n_centres={K} numbers, got lists inside a list.")
    if len(crops) != K:
        raise InputError(f"crops must be one number or n_centres={K} numbers, got {len(crops)}.")
    return np.array([integer(f"crops[{i}]", value, 1) for i, value in enumerate(crops)])


def _centres(K: int, d: int, eps: float, rng: np.random.Generator) -> FloatArray:
    chosen: list[FloatArray] = []
    for _ in range(_TRIES):
        c = rng.standard_normal(d)
        c /= np.linalg.norm(c)
        if all(np.linalg.norm(c - other) >= 2 * eps for other in chosen):
            chosen.append(c)
            if len(chosen) == K:
                return np.array(chosen)
    raise InputError(
        f"eps={eps:g} is too large for n_centres={K} in dim={d}: no {K} centres at distance 2 eps = {2 * eps:g} found; "
        "take a smaller eps, fewer centres or a larger dim."
    )


def _own_centres(centres: Any, K: int, d: int, eps: float) -> FloatArray:
    C = array("centres", centres, (K, d), what="(n_centres, dim)")
    distance = np.linalg.norm(C[:, None] - C[None], axis=2) + 4 * np.eye(K)
    i, j = (int(v) for v in np.unravel_index(np.argmin(distance), distance.shape))
    if distance[i, j] < 2 * eps * (1 - 1e-12):
        raise InputError(
            f"centres must be 2 eps = {2 * eps:g} apart (Definition 1), rows {i} and {j} are {distance[i, j]:.4g}"
            " apart."
        )
    return C
