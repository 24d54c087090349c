"""Names of metrics as a logger takes them: a name that it refuses is another one there, and that is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping


class Names:
    """A logger's own names, each for one of ours alone.

    `allowed` gives a name that the logger takes. Where two of ours would have one name, the later has a
    number behind it. `say` gets a line for each name that is another there, once.
    """

    def __init__(self, logger: str, allowed: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._logger = logger
        self._allowed = allowed
        self._say = say
        self._theirs: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        """What a name is there."""
        found = self._theirs.get(name)
        if found is None:
            found = self._theirs[name] = self._free(self._allowed(name))
            if found != name:
                self._say(f"logger {self._logger}: {name} is {found} there")
        return found

    def all(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values under their names there."""
        return {self(name): value for name, value in values.items()}

    def _free(self, name: str) -> str:
        taken = set(self._theirs.values())
        return next(each for each in (name, *(f"{name}_{n}" for n in range(2, 9999))) if each not in taken)


def plain(name: str, others: str = "") -> str:
    """Letters, digits, `_` and `others` are kept: `acc@5` is `acc_at_5`, any other character is `_`."""
    return re.sub(rf"[^\w{re.escape(others)}]", "_", name.replace("@", "_at_"), flags=re.ASCII)
