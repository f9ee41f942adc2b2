"""Robust image recovery: a deep image prior and s = g*g - h*h separate a photograph from sparse corruption.

``python -m sparseop.deep.train image-recovery`` shows it in a minute. The parts: ``images`` (reading), ``corruption``
(making and measuring it, median filters), ``networks``, ``sparse`` (g and h), ``ratio`` and ``choose`` (their learning
rate), ``fit`` (one method on one image), ``run`` (a folder with a record), ``picture``. Needs torch and numpy; pillow
to read, matplotlib to draw.
"""
