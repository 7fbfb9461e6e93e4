"""The configurations, one folder a group; installed as `mlr.configs`.

An application of your own composes these groups by `hydra.searchpath=[pkg://mlr.configs]`; Hydra
asks for this file.

To add an experiment, write `configs/experiment/<name>.yaml`: `# @package _global_` in the first
line; a comment with what it is, its command, source, claim and outcome; in `defaults` the parts,
as `- override /head: sigmoid`; then their options and those of train.yaml, as in
`optimizer: {lr: 0.5}`. Its loss stays where another head is typed. Tests ask for what `explain` is
expected to say of it, in tests/analysis/explain/expected.yaml, and for its line in README.md here.
"""

from mlr.app.config.probe_families import register_families

register_families()
