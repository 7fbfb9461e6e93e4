"""Comparison of finished runs: rankings, tests of significance, sentences and tables."""
