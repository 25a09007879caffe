"""Stored files as people know them: whose they are, who may do what, how much fits."""
