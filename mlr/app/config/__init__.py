"""From the command line and configs/ to the checked parts of a run."""
