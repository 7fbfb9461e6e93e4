"""Training programs as people write them, each with a fault or without, that judge the diagnosis.

A program is one function. It trains with the fault or with its line mended, observed by the
probe that it is handed, and returns the score that plain torch computes. The programs of
`held_out` were written blind: who writes the rules of the diagnosis does not read them.
`corpus` lists them all, and `faults` says which rules name a fault; a program is run by

    loop.step_missing(unwatched, faulty=True)

and observed by a function in place of `case.unwatched` that opens a probe of its model.
"""
