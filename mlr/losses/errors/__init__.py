"""Losses of the error y − t of each output, for regression: each is a −log-likelihood."""
