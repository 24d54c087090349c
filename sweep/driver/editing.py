"""The space of a study that is resumed: as it was, what was edited since, and the edit on record."""

from __future__ import annotations

from collections.abc import Callable

from runlog import layout
from sweep.errors import RunDirError, SpecError
from sweep.rundir.rundir import RunDir
from sweep.spec.edited import edits as editing
from sweep.spec.edited.edits import Edited
from sweep.spec.edited.fitting import summary
from sweep.spec.parse import parse
from sweep.spec.schema import StudySpec

BEGINS_AGAIN = {
    "cmaes": "cmaes begins again, from the best tenth of the trials that fit",
    "qmc": "qmc begins the new space's own sequence",
    "nsgaii": "nsgaii takes the trials that fit for its first generation",
    "nsgaiii": "nsgaiii takes the trials that fit for its first generation",
}
"""Samplers that keep more than trials, which an edit makes stale."""


def study_before(spec: StudySpec, run: RunDir) -> StudySpec | None:
    """The study that the run directory holds, in the space that the log has; None where there is none yet."""
    text = run.study_text
    if text is None:
        return None
    path = run.path / layout.STUDY
    try:
        before = parse(text, file=str(path))
    except SpecError as error:
        raise RunDirError(
            f"cannot resume: {path} is damaged: {error}. If {spec.document.file} is still the same study, "
            "move the damaged file away and run the same command again"
        ) from error
    edits = run.history.study.edits
    return editing.with_values(before, edits[-1]["after"]) if edits else before


def record_edit(spec: StudySpec, run: RunDir, say: Callable[[str], None]) -> None:
    """Where the space is another than before, record that, and say what became of earlier trials."""
    before = study_before(spec, run)
    if before is None or not editing.changes(before, spec):
        return
    run.record_edited(editing.values_of(before), editing.values_of(spec))
    text = f"space edited ({editing.changes_text(before, spec)})"
    for part in _consequences(spec, run, edited(spec, run)):
        text += f"; {part}"
    run.record_message("info", text)
    say(text)


def is_pending(spec: StudySpec, run: RunDir) -> bool:
    """Whether the study's space is another than the run's, which no session has recorded yet."""
    before = study_before(spec, run)
    return before is not None and bool(editing.changes(before, spec))


def edited(spec: StudySpec, run: RunDir) -> Edited:
    """What the run's trials are in the space as it is now."""
    study = run.history.study
    return editing.edited(spec, study.edits, study.trials)


def _consequences(spec: StudySpec, run: RunDir, found: Edited) -> list[str]:
    if not found.fits:
        return []
    parts = [summary(found.fits.values())]
    if all(fit.misfit is not None for fit in found.fits.values()):
        parts.append("the sampler starts without them. To undo this, restore `space` and run again")
    if gone := [number for number in run.history.study.unasked_retries() if not found.fits[number].exact]:
        parts.append(f"not tried again, as they do not fit: trials {', '.join(map(str, gone))}")
    if spec.sampler.name in BEGINS_AGAIN:
        parts.append(BEGINS_AGAIN[spec.sampler.name])
    return parts
