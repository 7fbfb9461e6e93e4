"""One HTML page about a run or a sweep: what the command report writes.

`content` groups runs by settings, seeds aside; `charts` computes the numbers of the charts,
`tables` writes the tables and `page` the document.
The scripts of the browser are in assets/, and draw with uPlot (uplot/, MIT).
"""
