"""The HTTP faces of upload sessions and stored files."""
