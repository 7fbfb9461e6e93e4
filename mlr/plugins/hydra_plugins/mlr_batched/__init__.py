"""Launcher `hydra/launcher=batched`, which trains the jobs of a sweep as one program."""
