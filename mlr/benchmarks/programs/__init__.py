"""Training programs as people write them, each with a fault or without, that judge the diagnosis.

A program is one function. It trains with the fault or with its line mended, observed by the
probe that it is handed, and returns the score that plain torch computes. The programs of
`blind` were written by one who had not seen the rules of the diagnosis. `corpus` lists them all,
and `faults` says which rules name a fault; a program is run by

    loop.step_missing(unwatched, faulty=True)

and observed by a function in place of `case.unwatched` that opens a probe of its model.
"""
