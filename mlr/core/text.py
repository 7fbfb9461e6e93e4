"""Text for the terminal: control characters, and shares in words."""

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


def approx_percent(share: float) -> str:
    """Write a share for a sentence, as `68 %`; never 0 % or 100 % unless it is exactly that."""
    size = 100 * share
    if 0 < size < 0.05:
        return "under 0.1 %"
    if 99 < size < 100:
        return f"{min(size, 99.9):.1f} %"
    return f"{size:.1f} %" if 0 < size < 9.95 else f"{size:.0f} %"
