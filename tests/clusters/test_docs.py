"""The page on clusters names every check and every key, and its inventories are right."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from clusters.doctor.examine import CHECKS
from clusters.inventory import parse
from clusters.schema import Auth, Environment, InventoryFile, NodeEntry, OwnerFirst, Ports, Ssh

TEXT = (Path(__file__).parents[2] / "docs" / "mac-cluster.md").read_text()


def test_every_check_has_its_row_in_the_order_in_which_they_are_made() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \|", TEXT.partition("| check |")[2], re.MULTILINE)
    assert rows == [check.__name__.replace("_", " ") for check in CHECKS]


def test_every_key_is_named() -> None:
    sections = (InventoryFile, NodeEntry, OwnerFirst, Environment, Auth, Ports, Ssh)
    keys = [field.alias or name for section in sections for name, field in section.model_fields.items()]
    assert [key for key in keys if f"`{key}`" not in TEXT and f"{key}:" not in TEXT] == []


def test_the_least_inventory_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert parse(textwrap.dedent(example), Path("lab.yaml")).head.name == "studio1"
