"""The one-hidden-layer label refinery of the SANE paper (section 3.1, appendices C and D), verified and corrected.

``data``            the (rho, eps, delta)-corrupted dataset of Definition 1
``network``         f(W, x) = v^T phi(W x), its Jacobian, Sigma(C) and lambda(C)
``descent``         gradient descent on refined labels, recording what the theorems speak of
``schedules``       the weights alpha_t
``constants``       the constants of Theorems 2, 6, 7 and 8 as defined, next to their measured values
``worst_case``      the worst crop in the eps-ball, by projected ascent (Theorem 5, 'any augmentation' of Theorem 2)
``generalization``  Theorem 1: exact risks of its construction, every term of its bounds
"""
