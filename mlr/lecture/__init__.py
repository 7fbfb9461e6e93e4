"""The lecture, executable: every claim of a slide is measured, and shown on one page.

A `Slide` is a number, a title and a function; the function's docstring is our question, `original`
the slide's own, and its `Answer` holds what was measured just now: a sentence, claims, pictures.
`Lab` trains what it needs, `drawing` draws, `page` writes lecture/index.html.

Adding a slide: write `def ask(lab: Lab) -> Answer` in the module of its topic, with the question
as the first paragraph of the docstring (further paragraphs, as `Source:` and `Slip:`, are shown
in small type), put `Slide(number, "title", ask)` into that module's `SLIDES`, and a new module
into `slides.PARTS`. Most pictures are one call of `drawing.curves`, of `HALF` size where there
are two. `python scripts/lecture.py <number>` then runs it and tests hold its claims.
"""

from __future__ import annotations
