"""What a teacher opens in class: ``index.html`` (``make demo``), or a notebook by ``marimo run demos/<name>.py``."""
