r"""The tangent kernel of a network: how it would learn if it were linear in its parameters, as SOP's theorem supposes.

With logits f(x; theta) and the Jacobian J of the logits of N images in the parameters, the network near theta is the
linear model f + J (theta' - theta), and what that model can learn, and how fast, is decided by the kernel J J^T (Jacot,
Gabriel and Hongler 2018, arXiv:1806.07572; the finite, "empirical" one).
``tangent_kernel(network, images)`` computes it without J.
"""

from sparseop.deep.tangent.kernel import TangentKernel, tangent_kernel

__all__ = ["TangentKernel", "tangent_kernel"]
