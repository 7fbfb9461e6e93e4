"""Sweeps: from jobs to tensor programs, engines, folders and their summary."""
