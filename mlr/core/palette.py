"""Okabe and Ito's palette, which colour-blind people can tell apart."""

BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, GREY = "#e69f00", "#56b4e9", "#999999"
INK = "#222222"
"""Text and axes on white."""
