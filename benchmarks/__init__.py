"""Every speed claim of the README, as a command: ``make bench``."""
