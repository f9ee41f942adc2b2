"""The Cholesky factor of a matrix that only rounding keeps from being positive definite."""

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray

SHIFT = 1e-15  # of the diagonal, in units of the trace


def nearest_cholesky(A: FloatArray) -> FloatArray:
    """Return the lower factor of symmetric A, or of A + SHIFT tr(A) I where A has none; A's diagonal is then changed.

    Raises
    ------
    numpy.linalg.LinAlgError : where neither is positive definite.
    """
    try:
        return np.asarray(scipy.linalg.cholesky(A, lower=True, check_finite=False))
    except np.linalg.LinAlgError:
        A[np.diag_indices(len(A))] += SHIFT * np.trace(A)
        return np.asarray(scipy.linalg.cholesky(A, lower=True, check_finite=False))
