"""What an inventory may say: one frozen pydantic model a section, strict types, no unknown keys.

Only what one value must be on its own stands here; rules between nodes are in `clusters.inventory`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from configfile.quantities import parse_duration, parse_size
from configfile.validation import broken, quantity


def _name(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,38}[A-Za-z0-9])?", value):
        raise broken(
            "must be at most 40 letters, digits, `-` and `.`, and begin and end with one of the first two"
        )
    return value


def _ip(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise broken(
            "must be an IP address", "write what `ipconfig getifaddr en0` says on that Mac"
        ) from error
    if address.version != 4:
        raise broken("must be an IPv4 address: Ray's nodes speak to each other by IPv4")
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        rule = "must be an address that the other Macs reach, not of loopback and not self-assigned (169.254)"
        raise broken(rule, "write what `ipconfig getifaddr en0` says on that Mac")
    return value


def _target(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_][^\s'\"\\;&|<>$`]*", value):
        raise broken("must be an SSH target such as me@studio1.local")
    return value


def _quiet(value: object) -> object:
    """`22:00-07:00` as minutes of the day."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", value.strip())
    hours = [int(part) for part in found.groups()] if found else []
    if not hours or max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59:
        raise broken("must be two times of day such as 22:00-07:00")
    start, stop = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if start == stop:
        raise broken("must end at another time than it begins", "take the node out to leave it alone all day")
    return start, stop


def _folder(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"(?:~/|/)[\w./+-]*[\w+-]", value):
        raise broken("must be a path from `~/` or `/` on, of letters, digits, `_`, `-`, `.`, `+`")
    return value


Name = Annotated[str, BeforeValidator(_name)]
Address = Annotated[str, BeforeValidator(_ip)]
Target = Annotated[str, BeforeValidator(_target)]
NodePath = Annotated[str, BeforeValidator(_folder)]
Bytes = Annotated[int, quantity(parse_size, "8 GB")]
Seconds = Annotated[float, quantity(parse_duration, "10m")]
Quiet = Annotated[tuple[int, int], BeforeValidator(_quiet)]
Port = Annotated[int, Field(ge=1024, le=65_000)]


class Section(BaseModel):
    """A mapping of the inventory."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OwnerFirst(Section):
    """The Mac is its owner's while it is typed at, and until it has been left alone for `idle`."""

    idle_s: Seconds = Field(alias="idle")


class NodeEntry(Section):
    """One Mac. Without `ssh` it is reached by its IP; without `ip` the name in `ssh` is looked up."""

    name: Name
    ssh: Target | None = None
    ip: Address | None = None
    role: Literal["head", "worker"] | None = None
    slots: Annotated[int, Field(ge=1, le=64)] = 1
    tags: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    reserve_bytes: Bytes = Field(4_000_000_000, alias="reserve")
    quiet: Annotated[tuple[Quiet, ...], Field(strict=False)] = ()
    owner_first: OwnerFirst | None = None


class Environment(Section):
    """Where things lie on every node: `folder` is ours alone, `python` is made there unless one is named."""

    folder: NodePath = "~/.sweep"
    python: NodePath | None = None


class Auth(Section):
    """Programs that have the token may connect; `tls: auto` also encrypts, by a CA of the cluster's own."""

    tls: Literal["auto", "off"] = "off"


class Ports(Section):
    """The ports that Ray uses on every node; `workers` is the first of 1,000."""

    gcs: Port = 6379
    node_manager: Port = 6380
    object_manager: Port = 6381
    dashboard: Port = 8265
    workers: Port = 20_000


class Ssh(Section):
    """How SSH is called: with `config`, a file beside the inventory, as `ssh -F` takes it."""

    config: Annotated[str, Field(min_length=1)] | None = None


class InventoryFile(Section):
    """An inventory as a person writes it. `hold`: by SSH from where `up` is typed, or by a daemon a node."""

    name: Name = "lab"
    nodes: Annotated[tuple[NodeEntry, ...], Field(strict=False, min_length=1)]
    environment: Environment = Environment()
    auth: Auth = Auth()
    ports: Ports = Ports()
    ssh: Ssh = Ssh()
    hold: Literal["ssh", "daemon"] = "ssh"
