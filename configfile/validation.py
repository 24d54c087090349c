"""What pydantic finds wrong in part of a document, as problems with lines.

`broken` is the error that validators of our own raise; `quantity` makes one of a parser of quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from configfile import nearest
from configfile.problems import Problem
from configfile.yamlfile import Document, Path

KnownKeys = Callable[[Path], Iterable[str]]
"""What may stand beside the key at a path, to suggest one for a wrong one."""


def broken(what: str, remedy: str | None = None, *, secret: bool = False) -> PydanticCustomError:
    """The error of a validator of ours: `what` says what is wrong, `remedy` what to do.

    The value that is wrong is shown, unless it may hold a secret.
    """
    found = "" if secret else None
    return PydanticCustomError("configfile", "{what}", {"what": what, "remedy": remedy, "found": found})


def quantity(parse: Callable[[str], Any], example: str) -> BeforeValidator:
    """A validator that reads text by `parse`, which raises ValueError with what must hold.

    `example` is what editors show.
    """

    def validate(value: object) -> Any:
        try:
            return parse(value if isinstance(value, str) else "")
        except ValueError as error:
            raise broken(str(error)) from error

    return BeforeValidator(validate, json_schema_input_type=Annotated[str, Field(examples=[example])])


def problems(document: Document, prefix: Path, error: ValidationError, known: KnownKeys) -> Iterator[Problem]:
    """Each thing that pydantic found in the entry at `prefix`, at the line where it stands."""
    for details in error.errors(include_url=False):
        if details["type"] == "none_required":  # the other half of "or null"
            continue
        if details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # pydantic counts without the items that are wrong, and those are said
        path = prefix
        for index, part in enumerate(details["loc"]):
            last = index == len(details["loc"]) - 1
            if document.has((*path, part)) or (last and details["type"] == "missing"):
                path = (*path, part)
        yield _problem(document, path, details, known)


def missing(document: Document, path: Path) -> Problem:
    """A required key that is not there."""
    return document.problem(path, "is missing", remedy=f"add `{path[-1]}`")


def unknown(document: Document, path: Path, known: Iterable[str]) -> Problem:
    """A key that nothing reads."""
    remedy = nearest.remedy(path[-1], dict.fromkeys(known))
    return document.problem(path, "unknown key", "", remedy)


def _problem(document: Document, path: Path, details: ErrorDetails, known: KnownKeys) -> Problem:
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return unknown(document, path, known(path))
        case "missing":
            return missing(document, path)
        case "configfile":
            return document.problem(path, context["what"], context["found"], context["remedy"])
        case "literal_error":
            words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
            found = document.at(path)
            return document.problem(
                path, f"must be one of {', '.join(words)}", remedy=nearest.remedy(found, words)
            )
        case kind:
            return document.problem(path, _RULES.get(kind, "") or _rule(details))


_RULES: Mapping[str, str] = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text (quote it where it looks like something else)",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
}


def _rule(details: ErrorDetails) -> str:
    context = details.get("ctx", {})
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [f"{words} {context[sign]}" for sign, words in signs.items() if sign in context]
    return f"must be {' and '.join(limits)}" if limits else details["msg"]
