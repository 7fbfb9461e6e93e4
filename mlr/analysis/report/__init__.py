"""One HTML page about a run or a sweep: what the command report writes.

`groups` sorts runs by settings, seeds aside; `curves` and `theory` compute the numbers of the
charts, which `content` collects; `summary` writes the sentences, `tables` the tables and `page`
the document. The scripts of the browser are in assets/, and draw with uPlot (uplot/, MIT).
"""
