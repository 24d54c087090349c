"""Whom a study tells how it goes: the sections of the study file's `notify`.

No address of these reaches the run directory: `sweep.spec.resolve` leaves `notify` out of its copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
    model_validator,
)

from configfile.validation import broken
from sweep.spec.fields import Seconds, Section

Event = Literal["end", "failure", "best", "silence"]
Extra = Literal["hyperparameters", "reasons"]
EVENTS: tuple[Event, ...] = ("end", "failure", "best", "silence")

KINDS = ("macos", "webhook", "ntfy", "command")
"""Ways to tell a person; each has a key of its name."""

BEST_EVERY_S = 600.0

NTFY = "https://ntfy.sh"
"""The server of a topic that is given by its name alone."""

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}", re.ASCII)
_Text = Annotated[str, StringConstraints(min_length=1)]


class Secret(Section):
    """Where a secret comes from when the study starts; it is written nowhere."""

    env: _Text | None = None
    """The environment variable that holds it."""
    keychain: _Text | None = None
    """The service of a generic password in the keychain of macOS."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.keychain is None):
            raise broken("needs exactly one of env and keychain")
        return self

    def __str__(self) -> str:
        """Its name, never what it holds."""
        return f"the environment variable {self.env}" if self.env else f"the keychain's {self.keychain}"


def url_problem(url: str) -> str | None:
    """What is wrong with the URL of a message; the words hold nothing of it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https"):
        return "is no URL that begins with https:// or http://"
    if not host or re.search(r"\s", url):
        return "is no URL of a server"
    return None


def topic_url(topic: str) -> str:
    """The URL of an ntfy topic, given by name or by URL."""
    return topic if "://" in topic else f"{NTFY}/{topic}"


def topic_problem(topic: str) -> str | None:
    """What is wrong with an ntfy topic, in words that hold nothing of it."""
    if "://" not in topic:
        return None if _TOPIC.fullmatch(topic) else "is no topic: letters, digits, `_` and `-`, at most 64"
    if wrong := url_problem(topic):
        return wrong
    return (
        None if urlsplit(topic).path.strip("/") else "is a URL without a topic, such as https://ntfy.sh/TOPIC"
    )


def token_problem(token: str) -> str | None:
    """What keeps a token from being sent, in words that hold nothing of it."""
    is_sent = token.isascii() and token.isprintable() and " " not in token
    return None if is_sent else "is no token: it holds spaces, line breaks or letters beyond ASCII"


_FROM = "{env: NAME} or {keychain: NAME}"


def _secret(value: object, rule: str) -> Secret:
    if isinstance(value, Secret):
        return value
    try:
        return Secret.model_validate(value)
    except ValidationError as error:
        raise broken(rule, secret=True) from error


def _address(value: object, what: str, problem: Callable[[str], str | None]) -> str | Secret:
    if not isinstance(value, str):
        return _secret(value, f"must be {what}, or where it stands: {_FROM}")
    if wrong := problem(value):
        raise broken(wrong, f"write {what}, or where it stands: {_FROM}", secret=True)
    return value


def _webhook(value: object) -> str | Secret:
    return _address(value, "a URL", url_problem)


def _topic(value: object) -> str | Secret:
    return _address(value, "a topic or its URL", topic_problem)


def _as_written(address: str | Secret) -> object:
    return address if isinstance(address, str) else address.model_dump(exclude_none=True)


def _token(value: object) -> Secret:
    return _secret(value, f"must not stand in the file: write {_FROM}")


def _true(value: object) -> object:
    if value is not True:
        raise broken("must be true", "leave the entry out for no notification")
    return value


def _words(value: object) -> object:
    if isinstance(value, str):
        raise broken("must be a list", "write [PROGRAM, ARGUMENT, ...]", secret=True)
    return value


def _listed(value: object) -> object:
    """One word alone, or several."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


_plain = PlainSerializer(_as_written)
Webhook = Annotated[str | Secret, PlainValidator(_webhook, json_schema_input_type=_Text | Secret), _plain]
Topic = Annotated[str | Secret, PlainValidator(_topic, json_schema_input_type=_Text | Secret), _plain]
Token = Annotated[Secret, PlainValidator(_token, json_schema_input_type=Secret)]
Macos = Annotated[bool, PlainValidator(_true, json_schema_input_type=Literal[True])]
Events = Annotated[tuple[Event, ...], BeforeValidator(_listed, json_schema_input_type=Event | list[Event])]
Included = Annotated[tuple[Extra, ...], BeforeValidator(_listed, json_schema_input_type=Extra | list[Extra])]
Words = Annotated[tuple[_Text, ...], Field(strict=False, min_length=1), BeforeValidator(_words)]


class Notify(Section):
    """One way to tell a person how the study goes, and what to tell that way."""

    macos: Macos | None = None
    """`true`: a notification on the screen of the Mac that drives the study. Alone: `macos`."""
    webhook: Webhook | None = None
    """A URL that takes JSON: Slack, Discord, Mattermost, a server of your own."""
    ntfy: Topic | None = None
    """A topic of ntfy.sh by its name, or one of another server by its URL."""
    command: Words | None = None
    """A program and its arguments, with `{title}`, `{text}` and `{event}`; stdin is the text."""
    on: Events = EVENTS
    """What to tell: `end`, `failure`, `best`, `silence`, or a list of them."""
    every_s: Seconds = Field(BEST_EVERY_S, alias="every")
    """The least time between two messages of a new best; what came between is told in one."""
    silence_s: Seconds | None = Field(None, alias="silence")
    """No report for so long is told; default: three times the longest gap so far, at least `10m`."""
    include: Included = ()
    """What leaves this machine only if asked: `hyperparameters`, and `reasons` of failures."""
    token: Token | None = None
    """What a webhook or an ntfy server asks for as a bearer token: `{env: NAME}` or `{keychain: NAME}`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise broken(f"needs exactly one of {', '.join(KINDS)}")
        if self.token is not None and given[0] not in ("webhook", "ntfy"):
            raise broken(f"{given[0]} takes no token")
        return self

    @property
    def kind(self) -> str:
        """Which way it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)


_WAYS = "must be macos, {webhook: URL}, {ntfy: TOPIC} or {command: [...]}"


def _named(value: object) -> object:
    """`macos` alone where nothing else is said of it."""
    if value == "macos":
        return {"macos": True}
    if not isinstance(value, dict | Notify):
        is_url = isinstance(value, str) and "://" in value
        raise broken(_WAYS, "write {webhook: URL}" if is_url else None, secret=is_url)
    return value


OneNotify = Annotated[Notify, BeforeValidator(_named, json_schema_input_type=Literal["macos"] | Notify)]
