"""Mutation testing: one small fault at a time in mlr, and does a fast test notice it?

make test-mutants                                 # the sample, resumed where it stopped
make test-mutants ARGS="-j 2 --only mlr/data"     # two workers, one package
make test-mutants ARGS="--show ID"                # the edit; --run ID tries that one alone
make test-mutants ARGS="--again"                  # survivors once more, after mending tests
"""
