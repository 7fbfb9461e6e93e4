"""Foundations of all packages: checks, files that survive a crash, domains, the terminal."""
