"""One HTML page about a run or a sweep: what scripts/report.py writes.

`groups` sorts runs by what was chosen, seeds aside; `curves`, `theory` and `finals` turn them
into numbers for the charts, which `content` joins; `listing` makes the tables, `page` the
document. What the browser does with it lies in assets/, and draws by uPlot (uplot/, MIT).
"""
