"""What becomes of a trained network: its features, classifiers on them, other libraries' formats."""
