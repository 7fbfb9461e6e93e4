"""Mutation testing: one small fault at a time in mlr, and does a fast test notice it?

    make test-mutants                                 # the sample, from where it stopped
    make test-mutants ARGS="-j 1 --only mlr/data"     # one worker, one package
    make test-mutants ARGS="--show ID"                # the edit; --run ID tries that one alone
    make test-mutants ARGS="--again"                  # unexplained survivors, after mending tests
    make test-mutants ARGS="--report"                 # RESULT.md and survivors.yaml

A mutant is written into a copy of the tree in memory, and pytest runs the tests that execute its
line, in a process forked with everything but mlr imported. Which tests those are is recorded once
a test file, in runs/mutants; results stand there too and outlive edits of other lines.

Why no tool of others, tried on mlr/heads: mutmut 3.8 makes 477 mutants, of which 154 put None in
the place of a value, and draws no sample; in some 26 of its edits that were looked at there was no
constant of a module, swapped argument or dropped guard. cosmic-ray 8.7 makes 1547 and starts pytest
and torch afresh for each; on a loaded machine it was through with one in 100 s.
"""
