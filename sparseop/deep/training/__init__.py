"""What every trainer shares: its loop, records and checkpoints, recipes, seeds, devices and processes."""
