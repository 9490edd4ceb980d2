"""The web process: HTTP in, records out."""
