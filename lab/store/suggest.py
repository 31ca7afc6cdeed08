"""What to say when a name is not known."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_SHOWN_MAX = 12


def known_names(wanted: str, names: Sequence[str], what: str) -> str:
    """The closest known name, or the list of them, as the middle of a sentence."""
    if not names:
        return f"there are no {what}s yet"
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    more = ", …" if len(names) > _SHOWN_MAX else ""
    listed = f"known {what}s: {', '.join(names[:_SHOWN_MAX])}{more}"
    return f"did you mean {close[0]!r}? {listed}" if close else listed
