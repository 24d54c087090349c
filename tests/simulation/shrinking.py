"""The least recipe that still fails: faults left out one by one, then every number made smaller."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from tests.simulation.recipe import Recipe

LEAST = {
    each.name: each.default
    for each in fields(Recipe)
    if each.name not in ("seed", "faults", "deaths", "edits", "requests")
}


def kind_of(error: BaseException) -> str:
    """What failed, without what differs between histories: its kind and where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).split(";")[0].split(":")[0]
    return f"{type(error).__name__} in {where.name}: {text}"[:160]


def shrink(recipe: Recipe, failing: Callable[[Recipe], str | None], most: int = 400) -> Recipe:
    """A smaller recipe that fails in the same way; `failing` says how one fails, None where it does not."""
    kind, tries, smaller = failing(recipe), 0, True
    while smaller and tries < most:
        smaller = False
        for candidate in candidates(recipe):
            tries += 1
            if failing(candidate) == kind:
                recipe, smaller = candidate, True
                break
            if tries >= most:
                break
    return recipe


def candidates(recipe: Recipe) -> Iterator[Recipe]:
    """Recipes that are smaller by one thing, the largest steps first."""
    for index in range(len(recipe.faults)):
        yield replace(recipe, faults=(*recipe.faults[:index], *recipe.faults[index + 1 :]))
    for index in range(len(recipe.deaths)):
        yield replace(recipe, deaths=(*recipe.deaths[:index], *recipe.deaths[index + 1 :]))
    for index in range(len(recipe.edits)):
        yield replace(recipe, edits=(*recipe.edits[:index], *recipe.edits[index + 1 :]))
    for index in range(len(recipe.requests)):
        yield replace(recipe, requests=(*recipe.requests[:index], *recipe.requests[index + 1 :]))
    for name, least in LEAST.items():
        if getattr(recipe, name) != least:
            yield changed(recipe, name, least)
    for name in ("trials", "reports", "slots", "replicates"):
        if getattr(recipe, name) > 1:
            yield changed(recipe, name, getattr(recipe, name) - 1)


def changed(recipe: Recipe, name: str, value: Any) -> Recipe:
    """The recipe with one field changed."""
    changes: dict[str, Any] = {name: value}
    return replace(recipe, **changes)
