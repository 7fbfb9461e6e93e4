"""Text for the terminal: escape control characters, and transliterate to ASCII."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby


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


IN_ASCII = {
    **{"…": "...", "—": "--", "−": "-", "‖": "||", "±": "+-", "∓": "-+", "·": "*", "×": "x"},
    **{"↑": "^", "↓": "v", "→": "->", "←": "<-", "↦": "->", "⇔": "<=>", "≤": "<=", "≥": ">="},
    **{"≠": "!=", "≈": "~", "∞": "inf", "√": "sqrt", "∂": "d", "∇": "grad", "∈": "in", "∘": "o"},
    **{"∑": "sum", "Σ": "sum", "∏": "prod", "∫": "int", "λ": "lambda", "µ": "u", "⟨": "<"},
    **{"⟩": ">", "⁄": "/", "′": "'", "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"'},
    **{"«": '"', "»": '"', "ŷ": "y_hat", "ḡ": "g_bar", "\u0302": "_hat", "\u0304": "_bar"},
    **{"ß": "ss", "æ": "ae", "ø": "o", "✓": "yes", "✗": "no"},
}
"""Stand-ins that the Unicode names and decompositions do not give."""


def in_ascii(text: str) -> str:
    """Transliterate `text`: 10⁻¹² σ becomes 10^-12 sigma; `?` stands for any other character."""
    return "".join(
        {"<super>": "^", "<sub>": "_"}.get(kind, "") + "".join(map(_in_ascii, run))
        for kind, run in groupby(text, _raised)
    )


def _raised(character: str) -> str:
    """Return `<super>` or `<sub>` for a raised or lowered character, else an empty text."""
    kind = unicodedata.decomposition(character).partition(" ")[0]
    return kind if kind in ("<super>", "<sub>") else ""


def _in_ascii(character: str) -> str:
    if character.isascii():
        return character
    if character in IN_ASCII:
        return IN_ASCII[character]
    name = unicodedata.name(character, "")
    if found := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name):
        return found[2].lower() if found[1] == "SMALL" else found[2].capitalize()
    if unicodedata.category(character) == "Pd":  # dashes
        return "-"
    parts = unicodedata.normalize("NFKD", character)
    letters = [IN_ASCII.get(one, one) for one in parts if not unicodedata.combining(one)]
    return text if parts != character and (text := "".join(letters)).isascii() else "?"
