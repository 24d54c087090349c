"""The verbs of `python -m sweep cluster`; the only module here that prints.

Exit codes: 0 fine, 1 something is red, 2 an error on stderr, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Use a few Macs as one machine.", no_args_is_help=True)

LabFile = Annotated[Path, typer.Argument(metavar="LAB", help="An inventory or an mlx.launch host file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]


@app.callback()
def cluster() -> None:
    """Use a few Macs as one machine."""


@app.command()
def doctor(
    inventory: Annotated[
        Path | None,
        typer.Argument(
            metavar="[LAB]", help="An inventory or an mlx.launch host file. Default: this machine alone."
        ),
    ] = None,
    burn: Annotated[
        bool, typer.Option("--burn", help="Also multiply matrices for ten seconds, to see throttling.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check each node: what is wrong, and what to type. Exit code 1 if a check is red."""
    import json

    from clusters.addresses import with_addresses
    from clusters.doctor.examine import examine, is_red, this_machine
    from clusters.inventory import load

    with _errors_end_the_command():
        if inventory is None:
            findings = examine(this_machine(), alone=True, burn=burn)
        else:
            findings = examine(with_addresses(load(inventory)), burn=burn)
    if as_json:
        red = is_red(findings)
        print(json.dumps({"red": red, "findings": [found.as_json() for found in findings]}))
    else:
        from rich.console import Console

        from clusters.report import show

        show(findings, Console())
    if is_red(findings):
        raise typer.Exit(1)


@app.command()
def up(
    inventory: LabFile,
    daemon: Annotated[
        bool,
        typer.Option("--daemon", help="Run Ray as a system service on every node, as `hold: daemon` does."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start Ray on every node where it is not already running. Exit code 1 if one does not start."""
    import json
    from dataclasses import asdict, replace

    from clusters.addresses import with_addresses
    from clusters.inventory import load
    from clusters.lifecycle import bringup
    from clusters.report import say_state

    with _errors_end_the_command():
        lab = with_addresses(load(inventory))
        if daemon:
            lab = replace(lab, hold="daemon")
        states = bringup.up(lab, (lambda _: None) if as_json else say_state)
    if as_json:
        print(json.dumps({"address": lab.address, "nodes": [asdict(state) for state in states]}))
    if any(state.saw for state in states):
        raise typer.Exit(1)


@app.command()
def down(inventory: LabFile, as_json: AsJson = False) -> None:
    """Stop what `up` started, and nothing else. Exit code 1 if something is still running."""
    import json
    from dataclasses import asdict

    from clusters.addresses import with_addresses
    from clusters.inventory import load
    from clusters.lifecycle import bringup

    with _errors_end_the_command():
        ended = bringup.down(with_addresses(load(inventory)))
    if as_json:
        print(json.dumps({"nodes": [asdict(node) for node in ended]}))
    else:
        for node in ended:
            print(node.error or f"{node.node}: {'down' if node.was_up else 'was not up'}")
    if any(node.error for node in ended):
        raise typer.Exit(1)


@app.command()
def sync(inventory: LabFile, as_json: AsJson = False) -> None:
    """Copy the project and its locked environment to every node where they differ."""
    import json
    from dataclasses import asdict

    from clusters import sync as module
    from clusters.addresses import with_addresses
    from clusters.inventory import load

    with _errors_end_the_command():
        say = (lambda text: print(text, file=sys.stderr)) if not as_json else (lambda text: None)
        done = module.sync(with_addresses(load(inventory)), say)
    if as_json:
        print(json.dumps({"nodes": [asdict(node) for node in done]}))
    else:
        for node in done:
            print(
                node.error
                or f"{node.node}: {' and '.join(node.brought) + ' copied' if node.brought else 'up to date'}"
            )
    if any(node.error for node in done):
        raise typer.Exit(1)


@app.command()
def status(inventory: LabFile, as_json: AsJson = False) -> None:
    """Show the state of each node, and how to open Ray's dashboard. Exit code 1 if one is not up."""
    import json
    from dataclasses import asdict

    from clusters.addresses import with_addresses
    from clusters.inventory import load
    from clusters.lifecycle import status as module

    with _errors_end_the_command():
        found = module.status(with_addresses(load(inventory)))
    if as_json:
        print(json.dumps({"is_up": found.is_up, **asdict(found)}))
    else:
        from rich.console import Console

        from clusters.report import show_status

        show_status(found, Console())
    if not found.is_up:
        raise typer.Exit(1)


@app.command()
def reserve(
    inventory: LabFile,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="A node's name. Default: list all reservations.")
    ] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long, such as 2h or 1h30m.")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="Give it back before its time.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reserve a Mac for its owner: studies save what runs there and leave; after it they come back.

    \b
    sweep cluster reserve lab.yaml mini1 --for 2h
    sweep cluster reserve lab.yaml mini1 --release
    sweep cluster reserve lab.yaml
    """
    import json
    from dataclasses import asdict

    from clusters import reserve as module
    from clusters.addresses import with_addresses
    from clusters.inventory import load

    with _errors_end_the_command():
        module.check_asked(node, lasts, release=release)
        lab = load(inventory)
        if node is None:
            found = module.reservations(with_addresses(lab))
        elif release:
            found = [module.release(lab, node)]
        else:
            found = [module.reserve(lab, node, module.seconds_of(lasts or ""))]
    if as_json:
        print(json.dumps({"nodes": [asdict(each) for each in found]}))
    else:
        for each in found:
            print(each)
            if each.note:
                print(each.note, file=sys.stderr)
    if any(each.error for each in found):
        raise typer.Exit(1)


@contextmanager
def _errors_end_the_command() -> Iterator[None]:
    from clusters.errors import ClusterError

    try:
        yield
    except ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
