"""sparseop: the reference laboratory for implicit sparse regularisation.

``sparseop.linear``    the over-parameterised linear model of the SOP paper, section 3: solvers with certificates.
``sparseop.refinery``  the one-hidden-layer label refinery of the SANE paper, section 3.1 and appendix D.
``sparseop.deep``      trainers for deep networks with wrong labels, and for contrastive learning (needs torch).

``import sparseop`` loads none of them: each part is imported where it is used, so that the theory never waits for
torch.
"""

__version__ = "0.1.0"
