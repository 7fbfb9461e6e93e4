"""Executable lecture: measure every claim of its slides, and show them on one page.

A `Slide` is a number, a title and a function; the function's docstring is our question, `original`
the slide's own, and its `Answer` holds the measurement: a sentence, claims, pictures. `Lab` trains
the runs it needs, `page.drawing` draws, `page.render` writes lecture/index.html.

Adding a slide: write `def ask(lab: Lab) -> Answer` in the module of its topic, with the question
as the first paragraph of the docstring (further paragraphs, as `Source:` and `Slip:`, are shown
in small type), put `Slide(number, "title", ask)` into that module's `SLIDES`, and a new module
into `slides.CHAPTERS`. Most pictures are one call of `drawing.curves`, of `HALF` size where there
are two. `python scripts/lecture.py <number>` then runs it and tests hold its claims.
"""

from __future__ import annotations
