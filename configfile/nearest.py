"""The known word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def remedy(word: object, known: Iterable[str]) -> str:
    """Names the known word nearest to `word`, or all of them where none is near."""
    names = list(known)
    text = str(word).lower()
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    close = close or [name for name in names if len(text) > 3 and (text in name or name in text)]
    return f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(names) or 'none'}"
