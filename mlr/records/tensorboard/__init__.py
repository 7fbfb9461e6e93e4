"""Summaries that arrange TensorBoard's pages, built without TensorFlow."""
