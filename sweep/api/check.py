"""`sweep check`: what a study would run, found out without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.api.cluster import inventory_of
from sweep.api.remote import is_elsewhere
from sweep.driver.build import check_choices, describe_task
from sweep.driver.notify.choosing import notes as notify_notes
from sweep.errors import SpecError
from sweep.spec.against_task import missing_files
from sweep.spec.conditions import entry_text
from sweep.spec.given import Study, study_of
from sweep.spec.order import is_together, lag_of, waits_for_nobody
from sweep.spec.plans import MAX_PROGRAMS, listed_values, longest, programs
from sweep.spec.points import Points
from sweep.spec.resolve import with_fixed
from sweep.spec.schema import StudySpec
from sweep.spec.task_description import Description
from sweep.vocabulary.trial import UNBOUNDED, Length, Signature

if TYPE_CHECKING:
    from sweep.search.pruning.reach import Reach

SHOWN_RUNGS = 12
"""Where a trial ends by itself, rungs go up to no end."""

SHOWN = 4
"""Parameters without a gradient that are named."""


@dataclass(frozen=True)
class Check:
    """A study that can run, and what that would be; `notes` say what was hardly meant so."""

    spec: StudySpec
    description: Description
    length: Length
    programs: tuple[Signature, ...]
    pruner: Reach
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What `check --json` prints."""
        return {
            "study": self.spec.name,
            "trials": self.spec.budget.trials,
            "space": {name: entry_text(entry) for name, entry in self.spec.space.items()},
            "programs": [dict(program) for program in self.programs],
            "examples": self.length.examples if self.length.examples < UNBOUNDED else None,
            "report_every": self.length.report_every,
            "reports": self.length.reports if self.length.examples < UNBOUNDED else None,
            "updates": dict(self.updates()),
            "metrics": list(self.description.metrics),
            "device": self.description.device,
            "lanes_stopped_by": self.description.vmap_incompatibility,
            "lane_rules": list(self.description.lane_rules),
            "purity": self.description.purity,
            "rungs": list(self.pruner.rungs or ()),
            "lag": lag_of(self.spec),
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        """What `check` prints."""
        spec, described = self.spec, self.description
        objectives = ", ".join(f"{objective.direction} {objective.metric}" for objective in spec.objective)
        trials = f"{spec.budget.trials} trials" if spec.budget.trials else "as many trials as time allows"
        lines = [
            f"{spec.name}: {trials}, {objectives}; sampler {spec.sampler.name}, pruner {spec.pruner.name}",
            *(self._function_text() if self.length.open else self._task_text()),
            *self._pruner_text(),
            *self._order_text(),
            f"device: {described.device} ({described.chip})",
            "space:",
            *(f"  {name}: {entry_text(entry)}" for name, entry in spec.space.items()),
        ]
        if described.purity is not None:
            lines += _purity_text(described.purity)
        if described.vmap_incompatibility:
            lines.append(f"lanes: one only, since {described.vmap_incompatibility}")
        elif described.lane_rules:
            lines.append(f"lanes: several, by rules for {', '.join(described.lane_rules)}")
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _task_text(self) -> Iterator[str]:
        spec, described = self.spec, self.description
        updates = ", ".join(f"{count} at k={k}" for k, count in self.updates())
        tested = f", {described.test_examples} to test on at the end" if described.test_examples else ""
        yield (
            f"task: {spec.task}, {described.train_examples} examples to train on, "
            f"{described.validation_examples} to validate on{tested}; reports {', '.join(described.metrics)}"
        )
        yield (
            f"each trial: {self.length.examples} examples, a report every {self.length.report_every} "
            f"({self.length.reports} in all); updates: {updates}"
        )
        if described.widths:
            yield (
                f"lengths: batches are {', '.join(map(str, described.widths))} wide, as their longest "
                f"example needs; each function of a program is compiled at most {len(described.widths)} times"
            )
        yield f"programs: {len(self.programs)}, each compiled once, by their static hyperparameters:"
        yield from (f"  {_signature_text(program)}" for program in self.programs[:16])

    def _function_text(self) -> Iterator[str]:
        examples = self.length.examples
        is_command = self.spec.command is not None
        yield f"command: {self.spec.target}" if is_command else f"task: {self.spec.task}, a function"
        ends = "until it ends" if is_command else "until it returns"
        yield f"each trial: {f'at most {examples} examples' if examples < UNBOUNDED else ends}"

    def _pruner_text(self) -> Iterator[str]:
        """Where the pruner decides, in the units that a study file has."""
        if not self.pruner.rungs:
            return
        size = self.description.train_examples
        units = "examples (epochs)" if size else "examples"
        texts = [f"{rung} ({rung / size:.3g})" if size else str(rung) for rung in self.pruner.rungs]
        more = ["..."] if len(texts) > SHOWN_RUNGS else []
        shown = ", ".join([*texts[:SHOWN_RUNGS], *more])
        yield f"pruner: {self.spec.pruner.name} decides from these {units} on: {shown}"

    def _order_text(self) -> Iterator[str]:
        """What a fixed order lets run at once."""
        lag = lag_of(self.spec)
        if is_together(self.spec):
            yield "order: fixed: members wait for each other at each interval"
        elif lag is not None and waits_for_nobody(self.spec):
            yield "order: fixed"
        elif lag is not None:
            yield (
                f"order: fixed, lag {lag}: trial n follows from trials 0 to n - {lag}, "
                f"so at most {lag} trials run at once"
            )

    def updates(self) -> list[tuple[int, int]]:
        """(k, optimizer steps of a trial) for each number of accumulation steps k; of a function none."""
        if self.length.open:
            return []
        batch = (
            with_fixed(self.spec, {}).get("micro_batch_size")
            or listed_values(self.spec, "micro_batch_size")[0]
        )
        assert isinstance(batch, int)
        micro_batches = -(-self.length.examples // batch)
        steps = listed_values(self.spec, "accumulation_steps") or (1,)
        return [(k, -(-micro_batches // k)) for k in steps if isinstance(k, int)]


def _test_notes(spec: StudySpec, description: Description) -> Iterator[str]:
    """What is not tested at the study's end, since no checkpoint of it is kept."""
    wanted, kept = spec.test.best, spec.checkpoints.keep_best
    if description.test_examples and kept < wanted:
        yield (
            f"test.best asks for {wanted} trials, and checkpoints.keep_best keeps checkpoints of {kept}: "
            f"the others are not tested. Set checkpoints.keep_best: {wanted}"
        )


def check(study: Study) -> Check:
    """Check a study and its task without training; raises SpecError with every problem that can be found.

    `study` is a path, YAML text, a mapping with the study file's keys, or a StudySpec.
    """
    from sweep.search import warm_start
    from sweep.search.pruning.lengths import pruner_in_examples
    from sweep.search.pruning.reach import reach

    spec = study_of(study)
    inventory_of(spec)
    check_choices(spec, telling=not is_elsewhere(spec))
    missing = missing_files(spec)
    if missing:
        raise SpecError(missing)
    description = describe_task(spec, purity=True)
    length, needed = longest(spec, description), programs(spec, description)
    pruner = reach(pruner_in_examples(spec, description.train_examples), length)
    notes = (
        *budget_notes(spec, needed),
        *pruner.notes,
        *warm_start.read(spec).notes,
        *notify_notes(spec),
        *_test_notes(spec, description),
    )
    return Check(spec, description, length, needed, pruner, notes)


def budget_notes(spec: StudySpec, needed: tuple[Signature, ...]) -> Iterator[str]:
    """Points and programs compared with the number of trials."""
    trials = spec.budget.trials
    if trials is None:
        return
    points = Points(spec).total
    if points is not None and points < trials and not spec.sampler.repeat:
        yield (
            f"the space has {points} points, the budget {trials} trials: the study ends after {points}. "
            f"Write budget: {{trials: {points}}}, or widen the space"
        )
    if len(spec.enqueue) > trials:
        yield (
            f"enqueue has {len(spec.enqueue)} points, the budget {trials} trials: "
            f"the last {len(spec.enqueue) - trials} are never tried"
        )
    if len(needed) > max(1, trials // 2):
        most = f"{len(needed)} or more" if len(needed) == MAX_PROGRAMS else str(len(needed))
        names = ", ".join(dict.fromkeys(name for each in needed for name, _ in each if name in spec.space))
        yield (
            f"{most} programs for {trials} trials: most compile their own and share no step. "
            f"Give fewer choices of {names}"
        )


def _purity_text(purity: Mapping[str, Any]) -> Iterator[str]:
    """Of a task without problems: what was tried and held, and what else is worth knowing."""
    unreached = ", ".join(purity["unreached"][:SHOWN])
    if (more := len(purity["unreached"]) - SHOWN) > 0:
        unreached += f" and {more} more"
    yield "purity: the task is pure"
    yield "  inputs unchanged; global generators undrawn; same key, same result; traces under compile"
    yield f"  random: {'yes, another key, another result' if purity['random'] else 'no'}"
    yield f"  vmap: {'no' if purity['vmap_incompatibility'] else 'yes, trials can share a step'}"
    yield f"  gradients: {f'none reaches {unreached}' if unreached else 'reach every trainable parameter'}"


def _signature_text(signature: Signature) -> str:
    return ", ".join(f"{name}={value}" for name, value in signature)
