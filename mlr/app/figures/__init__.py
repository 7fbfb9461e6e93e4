"""Figures of runs and pairs as files: the command figures."""
