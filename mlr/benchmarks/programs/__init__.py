"""Training programs as people write them, each with a fault or without, that judge the diagnosis.

A program is one function. It trains with the fault or with its line mended, observed by the
probe that it is handed, and returns the score that plain torch computes. The programs of
`held_out` were drawn by name: who writes the rules of the diagnosis does not read them.
"""
