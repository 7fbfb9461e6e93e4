"""Control characters in text for the terminal."""

import unicodedata


def is_unseen(character: str) -> bool:
    """Tell if it ends a line, moves the cursor, turns what follows round, or is half a character.

    A terminal obeys the first two, and a person is deceived by the third.
    """
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return turns or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    r"""Return `text` with unseen characters escaped as Python does: ESC becomes \x1b."""
    if text.isprintable():
        return text
    return "".join(ascii(one)[1:-1] if is_unseen(one) else one for one in text)
