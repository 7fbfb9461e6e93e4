"""Losses of cosines that ask the true class for a margin."""
