"""Summaries that arrange TensorBoard's pages, and event files of any program read back."""
