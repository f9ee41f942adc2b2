"""What a teacher opens in class: ``make demo``, or one notebook by ``marimo run demos/<name>.py``; see ``index.html`` too."""
