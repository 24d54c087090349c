"""`sweep notify-test`: a message to each of those that a study file names, to see whether it arrives."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from sweep.driver.notify import choosing
from sweep.driver.notify.channels import NotSentError
from sweep.driver.notify.message import About, Words
from sweep.errors import SpecError
from sweep.spec.given import Study, study_of


@dataclass(frozen=True)
class Tried:
    """A way to tell, and why the message did not arrive; None where it did."""

    to: str
    problem: str | None

    def as_text(self) -> str:
        """In a line."""
        return f"{self.to}: {'delivered' if self.problem is None else self.problem}"


def notify_test(study: Study) -> list[Tried]:
    """Send a test message each way that the study's `notify` names. Raises SpecError where one is wrong.

    `study` is a path, YAML text, a mapping with the study file's keys, or a StudySpec.
    """
    spec = study_of(study)
    if not spec.notify:
        remedy = "write notify: [macos], {webhook: URL}, {ntfy: TOPIC} or {command: [...]}"
        raise SpecError([spec.document.problem(("notify",), "names nothing to tell", "", remedy)])
    if found := choosing.problems(spec):
        raise SpecError(found)
    tried = []
    for notify, channel in choosing.channels(spec):
        about = About(spec.name, spec.objective[0].metric, platform.node())
        problem = None
        try:
            channel.send(Words(about, notify.include).test())
        except NotSentError as error:
            problem = str(error)
        tried.append(Tried(channel.name, problem))
    return tried
