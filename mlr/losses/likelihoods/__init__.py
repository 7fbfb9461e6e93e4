"""Losses of heads that predict how targets are distributed."""
