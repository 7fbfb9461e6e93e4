"""Texts at the beginning of the page: course, goals, recap, terms and formulas."""

from __future__ import annotations

COURSE = (
    "After the lecture 02.MLrefresh of the course Deep Learning 2018–19 at TU Delft by "
    "Jan van Gemert; several of its slides are after Roger Grosse. Section numbers are ours, not "
    "the slides’. “On the slide” is the slide’s question or statement as we noted it down; the "
    "large questions and the answers are ours."
)
GOALS = (
    "derive the loss of a model from maximum likelihood, and say why likelihood, divergence and "
    "cross-entropy are one objective (sections 2 to 15)",
    "choose an output unit and the loss that belongs to it: linear, sigmoid, softmax "
    "(sections 16 to 19, 26, 31 and 38 to 44)",
    "explain the relation of the loss and gradient descent: which gradient each pair of output "
    "unit and loss gives a wrong prediction, and what it learns from it (sections 20 to 37 and 45)",
)
READING = (
    "To read: Goodfellow, Bengio and Courville, Deep Learning, 3.13 (information theory), 5.5 "
    "(maximum likelihood), 5.7.1 (probabilistic supervised learning) and 6.2 (gradient-based "
    "learning)."
)
RECAP = (
    ("Feed-forward network", "h = max(0, W₁x + b₁), z = W₂h + b₂: layer by layer, without loops"),
    (
        "Stochastic gradient descent (SGD)",
        "θ ← θ − η · mean of ∂L/∂θ over a mini-batch, η the learning rate",
    ),
    ("XOR", "no linear model separates it, one hidden layer does (section 1)"),
)
TERMS = (
    ("x, t", "input and target of an example; t = 1 positive, t = 0 negative, or one of K"),
    ("w, b, θ", "weights, bias; θ all parameters of the model"),
    ("z = wᵀx + b", "the logit: the linear part of the output unit"),
    ("σ", "the activation: the logistic sigmoid"),
    ("y = σ(z)", "the prediction"),
    ("p_data, p̂", "the distribution of the data; of the examples that were seen"),
    ("p_model, q", "the distribution of the model"),
)
FORMULAS = (
    ("Maximum likelihood", "θ_ML = arg max ∏ p(x; θ), the product over all examples x"),
    ("Sigmoid", "y = σ(z) = 1 / (1 + exp(−z))"),
    ("Softmax", "y_k = exp(z_k) / ∑_j exp(z_j)"),
    ("Squared error", "L_SE = ½ ∑_k (y_k − t_k)²"),
    ("Binary cross-entropy", "L_BCE = −∑_k [t_k log y_k + (1 − t_k) log(1 − y_k)]"),
    ("Cross-entropy", "L_CE = −∑_k t_k log y_k = −tᵀ log y"),
)
TABLES = (
    ("Recap: last time", RECAP),
    ("Terms", TERMS),
    ("Formulas, for one example", FORMULAS),
)
