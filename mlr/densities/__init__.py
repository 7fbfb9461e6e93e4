"""Densities that torch.distributions lacks, and the special functions of likelihoods.

`of_errors` has the densities whose −log-likelihood is a loss of the error y − t: Huber's, the
hyperbolic secant, the asymmetric Laplace and the asymmetric Gaussian one.
"""
