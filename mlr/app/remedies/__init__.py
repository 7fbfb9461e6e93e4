"""Remedies of `explain`, tried: trained next to the run as it is, and judged."""
