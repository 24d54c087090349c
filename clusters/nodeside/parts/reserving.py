"""A reservation of the node, as `reserve` writes it."""

import json
import time

from clusters.nodeside.parts.starting import read


def reservation(path, now):
    """The reservation that holds; a damaged one holds, too."""
    text = read(path)
    if text is None:
        return None
    try:
        said = json.loads(text)
        until, by = float(said["until"]), str(said["by"])
    except (ValueError, KeyError, TypeError):
        return {"by": "a file that cannot be read", "left_s": None, "until": None}
    if until <= now:
        return None
    return {"by": by, "left_s": until - now, "until": time.strftime("%a %H:%M", time.localtime(until))}
