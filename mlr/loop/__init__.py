"""Gradients of any PyTorch loop, measured by the probes of mlr's own training.

`probe.GradientProbe` has hooks on scheduled steps only: for the logits in `watch`, for the
parameters' gradients at the end of each backward pass, for dense layers
(`mlr.probes.layer_hooks`), and, for the weights, on the optimizer's step. They fill a
`WatchedStep`; `mlr.probes.measuring` measures many of them at once for a sink, a run's folder or a
SummaryWriter. Gradients, parameters and random numbers are never changed.
"""
