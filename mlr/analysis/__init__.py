"""Answers from finished runs: rankings, diagnoses, tables, figures, pages, checksums."""
