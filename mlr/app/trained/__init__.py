"""Use of trained runs: the commands predict and export."""
