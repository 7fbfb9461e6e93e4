"""Names of the faults, and the rules of `mlr explain` that are right to name them."""

from __future__ import annotations

FAULTS: dict[str, str] = {
    # the output does not fit the loss
    "softmax_before_cross_entropy": "cross_entropy applies softmax; the output is one already.",
    "sigmoid_before_bce_with_logits": "The loss applies the sigmoid; the output is one already.",
    "softmax_twice": "The output is a softmax of a softmax.",
    "sigmoid_twice": "The output is a sigmoid of a sigmoid.",
    "softmax_over_one_unit": "A softmax over one unit is 1 for every input.",
    "softmax_over_batch": "The softmax runs over the batch and not over the classes.",
    "softmax_over_wrong_axis": "The softmax runs over pixels or words and not over the classes.",
    "softmax_for_several_labels": "A softmax cannot give several labels of one example.",
    "relu_output": "A ReLU as the output cannot give negative numbers, and may be dead.",
    "bounded_logits": "An activation bounds the logits, so that no class becomes likely.",
    "output_out_of_range": "The targets lie outside the range of the output.",
    "nll_without_log_softmax": "nll_loss is given outputs that are no log-probabilities.",
    "log_rate_expected": "PoissonNLLLoss expects the logarithm of the rate, and gets the rate.",
    "kl_without_log": "kl_div is given probabilities where it expects their logarithms.",
    "probabilities_expected": "The loss expects probabilities, and the outputs are unbounded.",
    "log_of_softmax": "The logarithm of a softmax that underflows is infinite.",
    "clamped_output": "Outputs are clamped to [0, 1], beyond which no gradient passes.",
    "classes_as_numbers": "Class numbers are regressed on as if they were quantities.",
    "labels_out_of_range": "The labels are not the numbers that the loss expects.",
    "labels_inverted": "The labels mean the opposite of what the loss takes them for.",
    "precision_inverted": "The variance multiplies the error that it should divide.",
    "targets_out_of_range": "The targets of a cross-entropy lie outside [0, 1].",
    "class_ignored": "The loss ignores a number that is a class to learn.",
    "shapes_broadcast": "Outputs and targets of different shapes are broadcast to a matrix.",
    # the loop
    "zero_grad_missing": "Gradients of all former batches are summed up.",
    "zero_grad_misplaced": "Gradients are cleared before the optimizer reads them.",
    "step_missing": "The optimizer never makes a step.",
    "wrong_parameters": "The optimizer does not own the parameters that give the outputs.",
    "parameters_missing": "Trainable parameters are in no optimizer.",
    "unregistered_layers": "Layers in a plain list are no parameters of the model.",
    "graph_cut": "The graph is cut, so that no gradient reaches some or all parameters.",
    "loss_without_graph": "The loss that is differentiated has no graph to the outputs.",
    "wrong_loss": "The loss that is differentiated is not the one of the task.",
    "term_outweighs": "A term of the loss outweighs the one of the task.",
    "zero_gradient_function": "A step function has a gradient of 0 everywhere.",
    "frozen": "Parameters that should be trained do not require gradients.",
    "eval_in_training": "The model is trained in eval mode.",
    "train_in_evaluation": "The model is evaluated in train mode.",
    "loss_maximised": "The loss is maximised.",
    "stale_outputs": "The outputs are those of old parameters, computed once.",
    "clipping_misplaced": "Gradients are clipped before they exist, or after the step.",
    "gradients_clipped_away": "Clipping leaves steps too small to learn by.",
    "loss_too_small": "The loss is divided so often that steps are too small to learn by.",
    "momentum_too_high": "A momentum of 1 or more lets steps grow without end.",
    "rate_too_high": "The learning rate is too high.",
    "rate_too_low": "The learning rate is too low.",
    "rate_decays_too_soon": "The learning rate is gone before the model has learned.",
    "decay_too_strong": "Weight decay is stronger than the gradient.",
    "too_few_updates": "There are too few updates.",
    # the network
    "zero_weights": "All weights are 0 at the start.",
    "symmetric_weights": "All units of a layer start equal, and so they stay.",
    "dead_relus": "The ReLUs of a layer are 0 for every input.",
    "vanishing_gradient": "The gradient vanishes on its way to the first layers.",
    "start_too_large": "Weights so large at the start make outputs confident and wrong.",
    "saturated": "Units are saturated, so that their gradient vanishes.",
    "no_activation": "No activation stands between the layers: the model is linear.",
    "statistics_not_tracked": "The running statistics of batch norm are not those of the data.",
    "attention_over_wrong_axis": "The softmax of an attention runs over another axis than places.",
    "order_lost": "The network cannot see the order of the words that the task depends on.",
    "dropout_too_strong": "Dropout removes nearly all units.",
    # the data
    "inputs_lose_precision": "Inputs have a mean so large that float32 cannot tell them apart.",
    "inputs_unscaled": "The scale of the inputs is far from 1.",
    "targets_unscaled": "The scale of the regression targets is far from 1.",
    "not_finite": "Inputs, outputs or parameters are not finite.",
    "targets_shuffled": "Targets do not belong to their inputs.",
    "targets_not_shifted": "The targets are the inputs themselves, which the output may copy.",
    "inputs_scrambled": "Inputs were reshaped so that they mix examples or axes.",
    "future_seen": "The inputs hold what is to be predicted, which they do not in use.",
    "sorted_data": "Batches hold examples of one class, since the data are sorted.",
    "class_missing": "A class has no examples.",
    "imbalance": "A class is so rare that predicting the others costs nothing.",
    "same_batch": "Every update sees the same batch.",
}

MISMATCHES = frozenset(list(FAULTS)[: list(FAULTS).index("shapes_broadcast") + 1])
"""Faults by which the output does not fit the loss."""

RULES: dict[str, tuple[str, ...]] = {
    "clamped_output": ("clipped_dead",),
    "attention_over_wrong_axis": ("softmax_over_batch",),
    "graph_cut": ("parts_unused",),
    "frozen": ("parts_unused",),
    "order_lost": ("parts_unused",),
    "rate_too_high": ("lr_too_high",),
    "rate_too_low": ("lr_too_low",),
    "loss_too_small": ("lr_too_low",),
    "log_rate_expected": ("exponential_twice",),
    "zero_weights": ("starved",),
    "symmetric_weights": ("starved",),
    "dead_relus": ("starved",),
    "vanishing_gradient": ("starved",),
    "start_too_large": ("initial_loss",),
    "saturated": ("saturated",),
    "no_activation": ("underfitting",),
    "inputs_lose_precision": ("unscaled",),
    "inputs_unscaled": ("unscaled",),
    "targets_unscaled": ("unscaled",),
    "not_finite": ("not_finite_values", "lost_at_once"),
}
"""Rules that name a fault; a rule that has the fault's own name always does."""


def rules_of(faults: tuple[str, ...]) -> frozenset[str]:
    """Return the names of all rules that are right as the first finding."""
    return frozenset({rule for fault in faults for rule in (fault, *RULES.get(fault, ()))})
