"""Kernels: the losses and dL/dz of each pair of head and loss, on logits; one file a family.

`table.KERNELS` says which kernel computes a pair; training, `Objective`, figures, report and
lecture call the same two functions. Arithmetic is that of the logits' own type, float32 or
float64, in forms that keep both tails: log σ, log1p, expm1, σ(−z) for 1 − σ(z), the sum of the
other classes for 1 − y of a softmax; no log(p + ε).

Exactness: for hard targets within 4 ulp of the truth, wherever that is a number of the type;
where terms of both signs meet (soft targets, the Jacobian of a softmax, 1 − r² of a Gaussian)
within 4 ulp of the largest term. tests/objectives/exactness.py has the few larger bounds, of
heads and losses that amplify the rounding of what they are made of: e^−e^z of cloglog, y^q of
gce, the rim of sparsemax. Differences of logits in a softmax are rounded once: where
z_k − z_max is no number of the type, that adds half an ulp for each unit of it.

Adding a kernel:
    - of a new head with a probability for each output: its class terms and a line in
      `class_terms.TERMS` give one exact kernels with every loss;
    - of one pair: two functions and a line in `table.KERNELS`;
    - of a pair of your own, outside mlr: `mlr.objectives.register(MyHead, MyLoss, kernel)`.
"""
