"""Tables of a user's own: reading of CSV files, columns to numbers, and groups of lines."""
