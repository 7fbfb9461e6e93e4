"""Heads that predict how a target is distributed: the parameters of a density, or quantiles.

Each parameter is a block of K logits for K targets, in the order of the head's docstring. Positive
parameters are the exponential of their logit: every one is then a real number with as many digits
whatever its size, likelihoods need no logarithm of it, and the curvature does not depend on the
unit of the targets, as it would with softplus.

`base.DistributionHead` gives the torch distribution of predictions, their mean, standard
deviation, quantiles and −log-likelihood. To add a head: a file here, `HEADS` and the steps of
`mlr.heads`, and its kernel with `loss=nll` in `mlr/objectives/kernels/likelihoods`.
"""
