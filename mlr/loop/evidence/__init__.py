"""Evidence on a program of a user's own: what its loop, its loss and its tensors are.

`observer.Observer` looks at the first batches and at some later ones. A module each gathers one
kind of evidence, as plain values of `mlr.records.evidence`: the loss's graph, the loss computed
again, ranges, the order of the loop, the parameters, the mode. Nothing of the user's is changed: no
gradient, no parameter or buffer, no random state, no mode, no graph.
"""
