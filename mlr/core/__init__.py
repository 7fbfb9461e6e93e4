"""Foundations of all packages: checks, durable files, domains, the terminal."""
