"""The configuration's `samples`: what the best model is asked at a study's end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from configfile import nearest
from train_core.hyperparameters import Numbers

MAX_TOKENS = Numbers(1, integer=True)


class Samples(NamedTuple):
    """The prompts, and how many tokens an answer has at most."""

    prompts: tuple[str, ...] = ()
    max_tokens: int = 100


def read(given: Any, fail: Callable[[tuple[str | int, ...], str], NoReturn]) -> Samples:
    """What stands as `samples`, None for nothing; what is wrong goes to `fail` with its key."""
    if given is None:
        return Samples()
    if not isinstance(given, dict) or "prompts" not in given:
        fail(("samples",), 'not keys with values, such as {prompts: ["Who are you?"], max_tokens: 50}')
    for key in given:
        if key not in Samples._fields:
            fail(("samples", key), f"is not known; {nearest.remedy(str(key), Samples._fields)}")
    prompts, most = given["prompts"], given.get("max_tokens", Samples().max_tokens)
    if not isinstance(prompts, list) or not all(isinstance(each, str) and each for each in prompts):
        fail(("samples", "prompts"), 'not a list of texts, such as ["Who are you?"]')
    if not MAX_TOKENS.accepts(most):
        fail(("samples", "max_tokens"), f"must be {MAX_TOKENS.rule}, got {most!r}")
    return Samples(tuple(prompts), most)
