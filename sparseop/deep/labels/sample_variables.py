r"""SOP's variables for each training sample, and their gradients in closed form (equations 4 to 9 of the SOP paper).

Symbols, for sample i with given label y (a class number), f(x_i; theta) = p the network's softmax, K classes:

=========  ==================================================================================================
u_i        one number: of the paper's u_i in R^K only the entry of the given label ever matters (equation 5)
v_i        K numbers; the entry of the given label never matters
U_i        u_i^2 clamped to [0, 1]: what is added to the given label's probability
V_ij       v_ij^2 clamped to [0, 1] for j != y, and 0 at j = y: what is taken from the other classes'
w_i        p_i + U_i e_y - V_i: the probabilities once the suspected corruption s_i is added
phi(w)     max(w, eps) / sum max(w, eps)                                                        (equation 7)
h_i        p_i, or the one-hot vector of its largest entry (footnote 1)
L_CE       -log max(phi(w)_y, eps), the loss of theta and of u                                  (equation 8)
L_MSE      sum_j (h_j + U [j = y] - V_j - [j = y])^2, the loss of v                             (equation 9)
=========  ==================================================================================================

The gradients, one row a sample::

    dL_CE/du   = 2 u (1 / S - 1 / w_y)      S = sum max(w, eps); 0 where a clamp is active
    dL_MSE/du  = 4 u (h_y + U - 1)
    dL_MSE/dv_j = -4 v_j (h_j - V_j)        j != y; 0 where v_j^2 > 1

The last carries the sign that the paper's equation (A.4) lacks: with s = -v^2 the chain rule gives -2v. (A.2) lacks it
too. Only the rows of the batch are read and written, so that a step costs the same for a thousand samples and for a
million; dense autograd gradients cost two passes over N x K numbers a step.
"""

import torch
from torch import Tensor, nn

from sparseop.deep.training import distributed
from sparseop.errors import fits, integer, nonnegative


class SampleVariables(nn.Module):
    """The variables u (N,) and v (N, K), float32 whatever the network's precision: u^2 is 1e-16 at the start.

    Parameters
    ----------
    n_samples, n_classes : N, K.
    std : standard deviation of their Gaussian start (Algorithm 1, line 2).
    seed : of that start; all ranks of a distributed run draw the same.
    """

    u: Tensor
    v: Tensor

    def __init__(self, n_samples: int, n_classes: int, *, std: float = 1e-8, seed: int = 0) -> None:
        super().__init__()
        integer("n_samples", n_samples, 1)
        integer("n_classes", n_classes, 2)
        nonnegative("std", std)
        fits(f"u and v for {n_samples} samples and {n_classes} classes", n_samples * (n_classes + 1), itemsize=4)
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("u", torch.randn(n_samples, generator=generator) * std)
        self.register_buffer("v", torch.randn(n_samples, n_classes, generator=generator) * std)

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return copies of the rows of ``index`` (B,): u (B,) and v (B, K)."""
        return self.u.index_select(0, index), self.v.index_select(0, index)

    def write(self, index: Tensor, u: Tensor, v: Tensor) -> None:
        """Store the rows of ``index``, which must be distinct; those that other ranks wrote are stored as well."""
        everywhere = distributed.gather(index)
        self.u.index_copy_(0, everywhere, distributed.gather(u))
        self.v.index_copy_(0, everywhere, distributed.gather(v))


def corruption(u: Tensor, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return U (B,) and V (B, K), the clamped squares, V without its given-label entry."""
    return u.square().clamp(max=1), v.square().clamp(max=1).scatter(1, labels[:, None], 0.0)


def corrected(p: Tensor, U: Tensor, V: Tensor, labels: Tensor) -> Tensor:
    """Return w (B, K) = p + U e_y - V; differentiable in p."""
    return (p - V).scatter_add(1, labels[:, None], U[:, None])


def phi(w: Tensor, eps: float) -> Tensor:
    """Return phi(w), equation (7), clamped once more from below as the released code does; rows sum to about 1.

    The second clamp matters: a sample with p_y + U < eps has loss -log(eps) and gradient zero.
    """
    m = w.clamp(min=eps)
    return (m / m.sum(1, keepdim=True)).clamp(min=eps)


def gradients(
    p: Tensor, u: Tensor, v: Tensor, labels: Tensor, *, eps: float, u_mse: bool, hard: bool, pull: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return each sample's gradients (B,) for u and (B, K) for v, as the table of this module has them.

    Parameters
    ----------
    p : (B, K) probabilities.
    u, v : (B,) and (B, K).
    labels : (B,) int64.
    eps : of phi.
    u_mse : whether u descends L_CE + L_MSE, or L_CE alone.
    hard : whether h is the one-hot vector of p's largest entry, or p.
    pull : (B,) derivative by w_y of a further loss that u descends.
    """
    given = labels[:, None]
    U, V = corruption(u, v, labels)
    w = corrected(p, U, V, labels)
    S = w.clamp(min=eps).sum(1)
    w_y = w.gather(1, given).squeeze(1)
    open_ce = (w_y >= eps) & (w_y >= eps * S)
    slope = torch.where(open_ce, 1 / S - 1 / w_y.clamp(min=eps), 0.0)
    h = torch.zeros_like(p).scatter_(1, p.argmax(1, keepdim=True), 1.0) if hard else p
    if u_mse:
        slope = slope + 2 * (h.gather(1, given).squeeze(1) + U - 1)
    if pull is not None:
        slope = slope + pull
    g_u = torch.where(u.square() <= 1, 2 * u * slope, 0.0)
    g_v = torch.where(v.square() <= 1, -4 * v * (h - V), 0.0).scatter_(1, given, 0.0)
    return g_u, g_v
