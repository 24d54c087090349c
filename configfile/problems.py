"""What is wrong in a file that a person wrote: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file, or in what it leads to.

    `key` is the path of keys to the entry (`space.learning_rate.low`), `line` counts from 1. `what` says
    what is wrong, or what must hold; `found` is what stands there instead, `remedy` what to do.
    """

    file: str
    what: str
    key: str | None = None
    line: int | None = None
    found: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{place}: {self.key}: {self.what}" if self.key else f"{place}: {self.what}"
        if self.found is not None:
            text += f", got {self.found}"
        if self.remedy is not None:
            text += f". {self.remedy[0].upper()}{self.remedy[1:]}"
        return text


class ConfigError(Exception):
    """The file cannot be used as it stands; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
