"""`hydra/launcher=batched`: the jobs of a sweep as one program."""
