"""Trainers for deep networks with wrong labels, SOP and SOP+ beside the methods they are compared with; and without labels.

``python -m sparseop.deep.train`` shows the effect in about a minute; ``--list`` names the recipes. Needs torch, numpy
and tqdm, nothing else. The parts can be used in any other training loop: ``labels`` (losses with their per-sample
state, noise, evaluation), ``contrastive``, ``augment``, ``networks``, ``datasets``, ``training.probe``.
"""
