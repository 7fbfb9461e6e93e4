"""Text as a person sees it: nothing of others moves the cursor, no terminal is too old for it."""

from __future__ import annotations

import codecs
import sys
import unicodedata


def is_unseen(character: str) -> bool:
    """Tell if it ends a line, moves the cursor, turns what follows round, or is half a character.

    A terminal obeys the first two, and a person is deceived by the third.
    """
    turns = "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    return turns or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    r"""`text` with what is unseen as Python writes it: ESC becomes \x1b."""
    if text.isprintable():
        return text
    return "".join(ascii(one)[1:-1] if is_unseen(one) else one for one in text)


IN_ASCII = {
    **{"…": "...", "–": "-", "−": "-", "‖": "||", "±": "+-", "↑": "^", "↓": "v", "→": "->"},
    **{"≤": "<=", "≥": ">=", "×": "x", "·": "*", "½": "1/2", "²": "^2", "⁻": "^-", "ᶻ": "^z"},
    **{"σ": "sigma", "Φ": "Phi", "Σ": "sum", "τ": "tau", "μ": "mu", "γ": "gamma", "ε": "eps"},
    **{"⟨": "<", "⟩": ">", "ˢ": "^s", "π": "pi", "∇": "grad", "√": "sqrt", "η": "eta"},
}
"""What stands in for a character that a terminal cannot show; a question mark for others."""


def write_in_any_encoding() -> None:
    """Have standard output and error replace what their encoding lacks, instead of failing."""
    codecs.register_error("in_ascii", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        encoding = codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
        if not encoding.startswith("utf") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="in_ascii")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(one, "?") for one in lacking), error.end
