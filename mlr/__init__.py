"""mlr: the laboratory for output heads and losses."""
