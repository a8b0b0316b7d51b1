"""Scores of holdout predictions, and what may be published of them."""
