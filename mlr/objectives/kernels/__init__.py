"""Kernels: the losses and dL/dz of each pair of head and loss, on logits; one file a family.

`table.KERNELS` says which kernel computes a pair; training, `Objective`, figures, report and
lecture call the same two functions. Arithmetic is that of the logits' own type, float32 or
float64, in forms that keep both tails: log σ, log1p, expm1, σ(−z) for 1 − σ(z), the sum of the
other classes for 1 − y of a softmax; no log(p + ε).

Exactness: for hard targets within 4 ulp of the truth, wherever that is a number of the type;
where terms of both signs meet (soft targets, the Jacobian of a softmax, 1 − r² of a Gaussian)
within 4 ulp of the largest term. Larger are the bounds of

    - squared error, a product of four rounded factors: of the sigmoid 8, of a softmax 14;
    - bce of a softmax and the matching loss of the clipped linear unit, sums of ten products: 6;
    - the Gaussian likelihood, whose residual has three rounded factors: 5;
    - a softmax: half an ulp more for each of the K terms of a sum, and up to one for each unit of
      a difference z_k − z_max that is no number of the type, for it is rounded once; three with
      se and bce, whose gradients are products of three such numbers;
    - the likelihood of another density: 16, of what one ulp of a logit or of the target makes;
    - what amplifies the rounding of its parts: other heads and losses 10, erfc of probit 24, the
      rim of sparsemax 200 and of entmax15 400, e^−e^z of cloglog 500, y^q of gce and y − m of
      asymmetric near its margin 1000, e^u of arcface and cosface, whose u is rounded at size s,
      12 + 3s; of evidential_se 16, of its gradient in units of σ(z).

Adding a kernel:
    - of a new head with a probability for each output: its class terms and a line in
      `class_terms.TERMS` give one exact kernels with every loss of mlr's but `matching`;
    - of a new loss of classes: a line in `class_losses.CLASS_COSTS` or `OUTPUT_COSTS`, or in
      `error_costs.ERROR_COSTS`, serves those heads, softmax, sparsemax and entmax15; of what is
      no such sum one in `class_losses.CLASS_LOSSES` and one in `softmax.SOFTMAX`;
    - of one pair: two functions and a line in `table.KERNELS`;
    - of a pair of your own, outside mlr: `mlr.objectives.register(MyHead, MyLoss, kernel)`.
"""
