"""Training with wrong labels: SOP, SOP+ and the methods they are compared with; ``run.train(recipe, folder)``."""
