"""Kernels of heads that predict a density: −log p(t) with all constants, and its gradient.

Logits are blocks of K numbers, parameter by parameter. Gamma functions and logarithms that would
cancel are left out on paper, see `mlr.densities.special`.

Exactness: within 16 ulp of the largest of the value, of 1, and of the product of each logit and its
derivative, which is what one ulp of a logit makes of the value.
"""
