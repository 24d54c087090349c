"""The study file's `notify`: what is wrong with it, and its channels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from configfile.yamlfile import Path as KeyPath
from sweep.driver.notify import secrets
from sweep.driver.notify.channels import Channel, Command, Macos, Ntfy, Webhook
from sweep.errors import Problem, SpecError
from sweep.spec.notify import Notify, Secret, token_problem, topic_problem, topic_url, url_problem
from sweep.spec.schema import StudySpec


def problems(spec: StudySpec) -> list[Problem]:
    """What is wrong with the ways to tell: secrets that are not there, programs that are not installed."""
    found: list[Problem] = []
    for index in range(len(spec.notify)):
        try:
            _channel(spec, index)
        except SpecError as error:
            found += error.problems
    return found


def channels(spec: StudySpec) -> list[tuple[Notify, Channel]]:
    """Each way to tell and its channel, two of one name told apart. Raises SpecError."""
    found: list[tuple[Notify, Channel]] = []
    for index, notify in enumerate(spec.notify):
        channel = _channel(spec, index)
        same = sum(other.name.partition(" (")[0] == channel.name for _, other in found)
        if same:
            channel.name = f"{channel.name} ({same + 1})"
        found.append((notify, channel))
    return found


def notes(spec: StudySpec) -> Iterator[str]:
    """What `check` says of addresses that stand in the study file."""
    for index, notify in enumerate(spec.notify):
        address = notify.webhook or notify.ntfy
        if isinstance(address, str):
            key = f"notify[{index}].{notify.kind}"
            yield (
                f"{key} stands in the study file, and all who read the file can write there. "
                f"{{{notify.kind}: {{env: NAME}}}} keeps it out"
            )


def _channel(spec: StudySpec, index: int) -> Channel:
    notify = spec.notify[index]
    path: KeyPath = ("notify", index) if spec.document.has(("notify", index)) else ("notify",)
    token = None
    if notify.token is not None:
        token = _value(spec, (*path, "token"), notify.token)
        _check(spec, (*path, "token"), notify.token, token_problem(token))
    if notify.webhook is not None:
        url = _value(spec, (*path, "webhook"), notify.webhook)
        _check(spec, (*path, "webhook"), notify.webhook, url_problem(url))
        return Webhook(url, token)
    if notify.ntfy is not None:
        topic = _value(spec, (*path, "ntfy"), notify.ntfy)
        _check(spec, (*path, "ntfy"), notify.ntfy, topic_problem(topic))
        return Ntfy(topic_url(topic), token)
    if notify.command is not None:
        program = notify.command[0]
        if shutil.which(program if "/" not in program else str(spec.folder / program)) is None:
            what = f"{program} is no program that can be run here"
            raise SpecError([spec.document.problem((*path, "command"), what, "")])
        return Command(notify.command, spec.folder)
    if shutil.which("osascript") is None:
        what = "a notification on the screen needs osascript, which macOS has"
        remedy = "use webhook, ntfy or command where the study's driver is no Mac"
        raise SpecError([spec.document.problem(path, what, "", remedy)])
    return Macos()


def _value(spec: StudySpec, path: KeyPath, secret: str | Secret) -> str:
    try:
        return secrets.value_of(secret)
    except secrets.NoSecretError as error:
        raise SpecError([spec.document.problem(path, str(error), "")]) from error


def _check(spec: StudySpec, path: KeyPath, secret: str | Secret, wrong: str | None) -> None:
    if wrong is not None:
        raise SpecError([spec.document.problem(path, f"{secret} {wrong}", "")])
