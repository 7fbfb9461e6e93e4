"""A look ahead: what one batch shows of a program before its training, on copies.

`untouched` keeps the user's own as it is; `batch` calls the model and the loss in the form that the
batch has; `refusals` finds the change with which torch accepts a call that it refused; `rehearsal`
makes steps with a copy; `examples` compares columns and examples.
"""
