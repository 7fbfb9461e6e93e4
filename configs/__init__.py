"""The configurations, one folder a group; installed as `mlr.configs`.

An application of your own composes these groups by `hydra.searchpath=[pkg://mlr.configs]`; Hydra
asks for this file.
"""
