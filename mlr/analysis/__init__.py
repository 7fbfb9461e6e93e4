"""Answers from finished runs: rankings, diagnoses, tables, pages, checksums."""
