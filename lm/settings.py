"""mlx-lm's own configuration by its own keys: each is taken over, left to the study, or refused in a line.

What a study says elsewhere is left to it (LEFT_TO_THE_STUDY says where). What is taken over can also stand in
`fixed` or `space` of the study, by the same name; there it counts more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from configfile import nearest, yamlfile
from configfile.problems import ConfigError
from configfile.yamlfile import Document
from lm import optimization
from lm.generating import samples, scores
from train_core.errors import TaskError
from train_core.hyperparameters import CORE, LENGTH, Flag, Numbers, Words


@dataclass(frozen=True)
class Text:
    """Text that is not empty."""

    rule: str = "a text"
    or_null: bool = False

    def accepts(self, value: object) -> bool:
        return (value is None and self.or_null) or (isinstance(value, str) and value != "")


@dataclass(frozen=True)
class Count:
    """A number of things, or -1 for all of them."""

    rule: str = "an integer of at least 1, or -1 for all"

    def accepts(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and (value >= 1 or value == -1)


STATIC: Mapping[str, Any] = {
    "model": None,
    "data": None,
    "fine_tune_type": "lora",
    "grad_checkpoint": False,
    "mask_prompt": False,
    "max_seq_length": 2048,
    "val_batches": 25,
    "test_batches": 500,
    "trust_remote_code": False,
    "resume_adapter_file": None,
    "chat_feature": "messages",
    "completion_feature": "completion",
    "prompt_feature": "prompt",
    "text_feature": "text",
    "generation_metrics": None,
    "generation_examples": 32,
    "max_tokens": 100,
}
"""Keys that shape the program, with mlx-lm's defaults; the last three are of this project."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of generated texts, with commas between, or null for none."""

    rule: str = "exact_match, file.py:function, lm_eval:task, or several with commas between"

    def accepts(self, value: object) -> bool:
        return value is None or (isinstance(value, str) and all(map(scores.is_known, scores.listed(value))))


VALUES: Mapping[str, Text | Count | Words | Flag | Numbers | Metrics] = {
    "model": Text(),
    "data": Text(),
    "fine_tune_type": Words(("lora", "dora", "full")),
    "grad_checkpoint": Flag(),
    "mask_prompt": Flag(),
    "max_seq_length": Numbers(2, integer=True),
    "val_batches": Count(),
    "test_batches": Count(),
    "trust_remote_code": Flag(),
    "chat_feature": Text(),
    "completion_feature": Text(),
    "prompt_feature": Text(),
    "text_feature": Text(),
    "generation_metrics": Metrics(),
    "generation_examples": Count(),
    "max_tokens": Numbers(1, integer=True),
    "rank": Numbers(1, integer=True),
    "max_rank": Numbers(1, integer=True),
    "scale": Numbers(0),
    "alpha": Numbers(0),
    "rslora": Flag(),
    "lora_plus_ratio": Numbers(0, low_included=False),
    "dropout": Numbers(0, 1, high_included=False),
    "num_layers": Count(),
    "max_num_layers": Count(),
}
"""What each value may be; those of the training core it checks itself."""

LEFT_TO_THE_STUDY: Mapping[str, str] = {
    "batch_size": "trial.micro_batch_size",
    "iters": "trial.length: {updates: N}",
    "seed": "seed",
    "steps_per_eval": "trial.report_every",
    "steps_per_report": "trial.report_every",
    "save_every": "checkpoints.every",
    "adapter_path": "OUT of export-adapter",
    "train": "sweep run",
    "test": "test: {best: N}",
    "clear_cache_threshold": "worker.memory",
}
"""Keys that say how mlx-lm's command runs, and what says so in a study."""

REFUSED: Mapping[str, str] = {
    "grad_accumulation_steps": "write accumulation_steps in `fixed` or `space` of the study instead",
    "lora_layers": "mlx-lm calls it num_layers now; write num_layers",
    "hf_dataset": "save it as train.jsonl and valid.jsonl in a folder, and name that as data",
    "project_name": "leave it out; the study's name is its own",
    "report_to": "leave it out, and write loggers: [mlflow] or [tensorboard] in the study",
    "training_mode": "only normal is here, which trains on examples; leave it out",
    "swanlab": "leave it out, and write loggers: [mlflow] or [tensorboard] in the study",
    "wandb": "leave it out, and write loggers: [mlflow] or [tensorboard] in the study",
}
"""Keys that ask for what is not here, and what to do."""

_NOTHING = (("grad_accumulation_steps", 1), ("training_mode", "normal"))
"""Refused keys with values that say what is done anyway."""

BY_THE_STUDY: Mapping[str, Any] = {"alpha": 0.0, "rslora": False, "lora_plus_ratio": 1.0}
"""What mlx-lm's configuration has no key for, with values that change nothing."""

TAKEN = (
    *STATIC,
    "learning_rate",
    "lora_parameters",
    "lr_schedule",
    "num_layers",
    "optimizer",
    "optimizer_config",
    "samples",
)
UNRECORDED: Mapping[str, str] = MappingProxyType({})
LORA_PARAMETERS = ("rank", "scale", "dropout", "keys")


@dataclass(frozen=True)
class Config:
    """A configuration that was read: its values, and where each stands."""

    values: Mapping[str, Any]
    document: Document | None = None

    def fail(self, path: tuple[str | int, ...], problem: str) -> NoReturn:
        """Raise TaskError: the file, the line, the key, the problem."""
        place = "the study" if self.document is None else f"{self.document.file}:{self.document.line(path)}"
        raise TaskError(f"{place}: {'.'.join(map(str, path))}: {problem}")


def read(name: str | None, folder: Path, recorded: Mapping[str, str] = UNRECORDED) -> Config:
    """The configuration of that name as it was recorded, else as it stands beside the study.

    Raises TaskError: a line for the first thing wrong.
    """
    if name is None:
        return Config({})
    path = folder / str(name)
    if name in recorded:
        return _parsed(path, recorded[name].encode())
    try:
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error


@cache
def _parsed(path: Path, text: bytes) -> Config:
    try:
        document = yamlfile.parse(text, str(path))
    except ConfigError as error:
        raise TaskError(str(error)) from error
    if not isinstance(document.value, dict):
        raise TaskError(f"{path}: not a configuration of mlx-lm: it holds no keys")
    config = Config({key: value for key, value in document.value.items() if value is not None}, document)
    for key, value in config.values.items():
        if key in REFUSED and _asks(key, value):
            config.fail((key,), REFUSED[key])
        known = (*TAKEN, *LEFT_TO_THE_STUDY, *REFUSED)
        if key not in known:
            config.fail((key,), f"mlx-lm {version('mlx-lm')} has no such key; {nearest.remedy(key, known)}")
    _check_lora_parameters(config)
    samples.read(config.values.get("samples"), config.fail)
    return config


def _asks(key: str, value: Any) -> bool:
    """Whether a key that is refused asks for anything: no accumulation is 1 step."""
    return value is not False and (key, value) not in _NOTHING


def _check_lora_parameters(config: Config) -> None:
    given = config.values.get("lora_parameters", {})
    if not isinstance(given, dict):
        config.fail(
            ("lora_parameters",), "not keys with values, such as {rank: 8, scale: 20.0, dropout: 0.0}"
        )
    for key in given:
        if key not in LORA_PARAMETERS:
            hint = f"there are {', '.join(LORA_PARAMETERS)}; scale is alpha / rank"
            config.fail(("lora_parameters", key), f"mlx-lm has no such key; {hint}")
    for key in ("rank", "scale", "dropout") if given else ():
        if key not in given:
            config.fail(("lora_parameters",), f"{key} is missing, which mlx-lm needs here; add it")
    keys = given.get("keys")
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        config.fail(("lora_parameters", "keys"), "not a list of names, such as [self_attn.q_proj]")


def filled(
    given: Mapping[str, Any], folder: Path, recorded: Mapping[str, str] = UNRECORDED
) -> dict[str, Any]:
    """A trial's hyperparameters, and the configuration's where the study has none. Raises TaskError."""
    config = read(given.get("config"), folder, recorded)
    adapter = {"rank": 8, "dropout": 0.0, "scale": 20.0} | config.values.get("lora_parameters", {})
    adapter.pop("keys", None)
    layers = config.values.get("num_layers", 16)
    made = {
        **STATIC,
        "config": None,
        **{key: _joined(value) for key, value in config.values.items() if key in STATIC},
        "max_rank": adapter["rank"],
        "max_num_layers": layers,
        "num_layers": layers,
        **adapter,
        **BY_THE_STUDY,
        **optimization.core(config.values, given, config.fail),
        **given,
    }
    _check(made, given, config)
    return made


def _joined(value: Any) -> Any:
    """A list of words as one, with commas between, which a hyperparameter can be."""
    words = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
    return ", ".join(value) if words else value


def named_files(
    given: Mapping[str, Any], folder: Path, recorded: Mapping[str, str] = UNRECORDED
) -> dict[str, str]:
    """What a trial reads beside its configuration, by key.

    That is `model`, `data`, `resume_adapter_file`, `generation_metrics`.
    """
    values = {**read(given.get("config"), folder, recorded).values, **given}
    named = {
        key: _joined(values.get(key))
        for key in ("model", "data", "resume_adapter_file", "generation_metrics")
    }
    return {key: name for key, name in named.items() if isinstance(name, str)}


def lora_keys(config: str | None, folder: Path, recorded: Mapping[str, str] = UNRECORDED) -> list[str] | None:
    """`lora_parameters.keys`: which layers get an adapter, None for all linear ones."""
    keys: list[str] | None = read(config, folder, recorded).values.get("lora_parameters", {}).get("keys")
    return keys


def asked(config: str | None, folder: Path, recorded: Mapping[str, str] = UNRECORDED) -> samples.Samples:
    """`samples`: what the best model is asked; nothing where the configuration does not say."""
    found = read(config, folder, recorded)
    return samples.read(found.values.get("samples"), found.fail)


def examples_of(
    config: str | None, folder: Path, batches: int, recorded: Mapping[str, str] = UNRECORDED
) -> int | None:
    """How many examples so many of mlx-lm's batches are, None for all: times its batch size."""
    found = read(config, folder, recorded)
    size = found.values.get("batch_size", 4)
    if not isinstance(size, int) or size < 1:
        found.fail(("batch_size",), f"must be an integer of at least 1, got {size!r}")
    return None if batches < 0 else batches * size


def left_to_the_study(
    config: str | None, folder: Path, recorded: Mapping[str, str] = UNRECORDED
) -> str | None:
    """A line that names the keys which the study says itself, and where; None where there are none."""
    found = read(config, folder, recorded).values
    named = [f"{key} ({place})" for key, place in LEFT_TO_THE_STUDY.items() if key in found]
    return f"{folder / str(config)}: the study says these itself: {', '.join(named)}" if named else None


def _check(made: Mapping[str, Any], given: Mapping[str, Any], config: Config) -> None:
    """Refuse what cannot be: values of single keys, and keys that do not go together."""
    _check_names(given)
    for key in ("model", "data"):
        if made[key] is None:
            hint = "write it there, or in `fixed` of the study"
            place = "the study" if config.document is None else config.document.file
            raise TaskError(f"{place}: {key}: is missing; {hint}")
    resumed = made["resume_adapter_file"]
    if resumed is not None and not Text().accepts(resumed):
        where = Config({}) if "resume_adapter_file" in given else config
        where.fail(("resume_adapter_file",), f"must be a path, got {resumed!r}")
    for key, values in VALUES.items():
        if not values.accepts(made[key]):
            where = Config({}) if key in given else config
            path = next(path for path in _paths(key) if key in given or _holds(config.values, path))
            where.fail(path, f"must be {values.rule}, got {made[key]!r}")
    _check_scale(made, given)
    _check_largest(made)


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuse words under names that nothing reads; of numbers `check` knows what reads them."""
    known = (*CORE, *LENGTH, *VALUES, "config", "resume_adapter_file")
    for key, value in given.items():
        if key not in known and not isinstance(value, int | float):
            place = LEFT_TO_THE_STUDY.get(key)
            hint = f"the study says it as {place}" if place else nearest.remedy(key, known)
            raise TaskError(f"the study: {key}: is not known; {hint}")


def _paths(key: str) -> Iterator[tuple[str, ...]]:
    """Where a key can stand: itself, or below `lora_parameters`."""
    yield (key,)
    yield ("lora_parameters", key.removeprefix("max_"))
    yield (key.removeprefix("max_"),)


def _holds(values: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    found: Any = values
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return True


def _check_scale(made: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """An adapter has one scale, said in one way."""
    if made["alpha"] > 0 and "scale" in given:
        raise TaskError("the study: alpha: scale is alpha / rank, and both are given. Keep one")
    if made["rslora"] and made["alpha"] == 0:
        raise TaskError("the study: rslora: scales by alpha / sqrt(rank), and alpha is missing. Add it")


def _check_largest(made: Mapping[str, Any]) -> None:
    """A program is built for the largest rank and number of layers."""
    for key in ("rank", "num_layers"):
        most, value, largest = f"max_{key}", made[key], made[f"max_{key}"]
        if largest >= 0 and (value > largest or value < 0):
            raise TaskError(
                f"{key} {value} is above {most} {largest}, which the program is built for. "
                f"Write {most}: {value} in `fixed`"
            )
    kind, most = made["fine_tune_type"], made["max_num_layers"]
    if kind != "lora" and made["num_layers"] != most:
        raise TaskError(
            f"num_layers {made['num_layers']} is not max_num_layers {most}: only fine_tune_type lora can "
            f"vary it. Write max_num_layers: {made['num_layers']} in `fixed`, too"
        )
