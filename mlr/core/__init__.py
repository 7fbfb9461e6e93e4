"""What everything stands on: checks, files that survive, domains, the terminal."""
