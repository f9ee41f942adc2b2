"""SOP+: SOP with consistency between two views and a class-balance term (SOP paper, appendix A.3)."""

import torch
from torch import Tensor

from sparseop.deep.labels.methods.hooks import require_stack
from sparseop.deep.labels.methods.sop import SOP
from sparseop.deep.labels.sample_variables import corrected, corruption, phi
from sparseop.deep.training import distributed
from sparseop.errors import InputError, choice, nonnegative


class SOPPlus(SOP):
    """SOP on the first view, plus lambda_C L_C + lambda_B L_B.

    ``L_C`` is the mean of KL(p || p'), p the prediction on the first view without gradient, p' on the strongly
    augmented one. ``L_B = -(1/K) sum_k log max(q_k, eps)``, q the mean over the global batch of ``phi(p + s)`` (as
    released) or of p (as the paper writes it). As released, u descends L_B too when it is taken on phi(p + s).

    Parameters
    ----------
    lambda_C, lambda_B : weights; the paper takes 0.9 and 0.1. With lambda_C = 0 there is no second view, as released.
    balance : "corrected" for phi(p + s), "network" for p.
    lr_u, ... : those of ``SOP``.
    """

    views: tuple[str, ...] = ("strong",)

    def __init__(
        self,
        n_samples: int,
        n_classes: int,
        *,
        lambda_C: float = 0.9,
        lambda_B: float = 0.1,
        balance: str = "corrected",
        lr_u: float | str = 10.0,
        lr_v: float | str = 10.0,
        u_on: float = 0.2,
        v_on: float = 0.5,
        init_std: float = 1e-8,
        u_loss: str = "ce+mse",
        constraint: str = "clamp",
        update: str = "batch",
        prediction: str = "hard",
        eps: float = 1e-4,
        suspect: str = "variables",
        seed: int = 0,
    ) -> None:
        super().__init__(
            n_samples,
            n_classes,
            lr_u=lr_u,
            lr_v=lr_v,
            u_on=u_on,
            v_on=v_on,
            init_std=init_std,
            u_loss=u_loss,
            constraint=constraint,
            update=update,
            prediction=prediction,
            eps=eps,
            suspect=suspect,
            seed=seed,
        )
        self.lambda_C, self.lambda_B = nonnegative("lambda_C", lambda_C), nonnegative("lambda_B", lambda_B)
        self.views = ("strong",) if self.lambda_C > 0 else ()
        self.balance_corrected = choice("balance", balance, ("corrected", "network")) == "corrected"

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss for logits (2, B, K), weak view first, or (B, K) when lambda_C = 0."""
        if self.views:
            require_stack(self, logits, labels, 2, "view")
        elif logits.ndim != 2:
            raise InputError(
                f"logits must have shape (B, K), as lambda_C = 0 needs one view, got {tuple(logits.shape)}."
            )
        logits = logits.float()
        p = (logits[0] if self.views else logits).softmax(1)
        u, v = self.variables.rows(index)
        w = corrected(p, *corruption(u, v, labels), labels)
        q = phi(w, self.eps)
        average = distributed.mean((q if self.balance_corrected else p).mean(0))
        pull = self._balance_pull(w, average, labels) if self.balance_corrected else None
        self._step(p, u, v, labels, index, pull)

        balance = -average.clamp(min=self.eps).log().mean()
        loss = -q.gather(1, labels[:, None]).log().mean() + self.lambda_B * balance
        if not self.views:
            return loss
        target = p.detach()
        # KL(p || p') = sum p log p - sum p log p'; p log p is 0 at p = 0
        consistency = (torch.xlogy(target, target) - target * logits[1].log_softmax(1)).sum(1).mean()
        return loss + self.lambda_C * consistency

    @torch.no_grad()
    def _balance_pull(self, w: Tensor, average: Tensor, labels: Tensor) -> Tensor:
        """Return each sample's derivative (B,) of lambda_B L_B by w_y, times B (one sample's share, as for L_CE).

        With m = max(w, eps), S = sum m and c_k = -1 / (K average_k) where neither clamp of k is active, else 0, it is
        ``(c_y - sum_k c_k m_k / S) / S``, and 0 where w_y < eps.
        """
        m = w.clamp(min=self.eps)
        S = m.sum(1)
        c = torch.where(average >= self.eps, -1 / (len(average) * average.clamp(min=self.eps)), 0.0)
        c = torch.where(m >= self.eps * S[:, None], c, 0.0)
        given = labels[:, None]
        slope = (c.gather(1, given).squeeze(1) - (c * m).sum(1) / S) / S
        return torch.where(w.gather(1, given).squeeze(1) >= self.eps, self.lambda_B * slope, 0.0)
