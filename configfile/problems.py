"""What is wrong in a file that a person wrote: where, the rule, what was found, the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file, or in what it leads to.

    `key` is the path of keys to the entry (`space.learning_rate.low`), `line` counts from 1.
    `rule` says what must hold, `found` what stands there, `remedy` what to do.
    """

    file: str
    rule: str
    key: str | None = None
    line: int | None = None
    found: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [f"{place}: {self.key}: {self.rule}" if self.key else f"{place}: {self.rule}"]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.remedy is not None:
            parts.append(self.remedy)
        return "; ".join(parts)


class ConfigError(Exception):
    """The file cannot be used as it stands; `problems` holds all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
