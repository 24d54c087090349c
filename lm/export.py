"""What a trial learned, as mlx-lm writes it: adapters.safetensors and adapter_config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from lm import adapters, base
from train_core.errors import TaskError

ADAPTER = ("lora_a", "lora_b", "m")
"""What the arrays of an adapter are called."""


def write(
    weights: Mapping[str, Any], filled: Mapping[str, Any], keys: list[str] | None, folder: Path, out: Path
) -> list[str]:
    """Write a trial's adapter, cut to its own rank and layers; gives the commands that use it.

    `keys` are the names of the layers that have one, None for all linear ones.
    """
    path = base.located(filled["model"], folder)
    model: Any = base.model(path, trust_remote_code=filled["trust_remote_code"])
    kind, count = filled["fine_tune_type"], len(model.layers)
    layers = int(filled["num_layers"])
    layers = count if layers < 0 else min(layers, count)
    flat: dict[str, Any] = dict(tree_flatten(dict(weights)))
    left_out = _prefixes(model, count - layers)
    trained = {name: array for name, array in flat.items() if not name.startswith(left_out)}
    if kind == "full":  # trained in float32, used in the type of the model
        stored = dict(tree_flatten(model.parameters()))
        trained = {name: array.astype(stored[name].dtype) for name, array in trained.items()}
    else:
        _check_rank(trained, int(filled["max_rank"]), filled["config"])
        trained = {
            name: _cut(name, array, int(filled["rank"]))
            for name, array in trained.items()
            if _leaf(name) in ADAPTER
        }
    adapter: dict[str, Any] = {"rank": int(filled["rank"]), "scale": _scale(filled)}
    adapter["dropout"] = float(filled["dropout"])
    if keys is not None:
        adapter["keys"] = keys
    written = {
        "fine_tune_type": kind,
        "num_layers": layers,
        "lora_parameters": None if kind == "full" else adapter,
        "model": str(path),
        "data": filled["data"],
        "mask_prompt": filled["mask_prompt"],
        "max_seq_length": filled["max_seq_length"],
    }
    out.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(out / "adapters.safetensors"), trained)
    (out / "adapter_config.json").write_text(json.dumps(written, indent=4, sort_keys=True) + "\n")
    model_path, adapter_path = shown(path), shown(out)
    return [
        f"mlx_lm.generate --model {model_path} --adapter-path {adapter_path} --prompt '...'",
        f"mlx_lm.fuse --model {model_path} --adapter-path {adapter_path} --save-path fused",
    ]


def _scale(filled: Mapping[str, Any]) -> float:
    """What mlx-lm multiplies an adapter by: as it was trained."""
    if not filled["alpha"]:
        return float(filled["scale"])
    scale, alpha, rank, rslora = (mx.array(float(filled[n])) for n in ("scale", "alpha", "rank", "rslora"))
    return float(adapters.scale_of(scale, alpha, rank, rslora=rslora))


def shown(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.resolve().relative_to(here)) if here in path.resolve().parents else str(path)


def _prefixes(model: Any, first: int) -> tuple[str, ...]:
    """How the weights of the layers before `first` begin."""
    before = {id(layer) for layer in model.layers[:first]}
    return tuple(f"{path}." for path, part in model.named_modules() if id(part) in before)


def _check_rank(trained: Mapping[str, Any], most: int, config: str | None) -> None:
    """Raise TaskError where the adapter was trained with another configuration than the one that is there."""
    for name, array in trained.items():
        if _leaf(name) == "lora_a" and array.shape[1] != most:
            raise TaskError(
                f"{name} was trained with another rank than max_rank {most}: {config or 'the study'} has "
                "changed since the run. Restore what it said then"
            )


def _leaf(name: str) -> str:
    """What an array is called; a fused layer has several of one name, by number."""
    return next(part for part in reversed(name.split(".")) if not part.isdecimal())


def _cut(name: str, array: mx.array, rank: int) -> mx.array:
    """An adapter's array without what lies beyond its rank."""
    leaf = _leaf(name)
    if leaf == "lora_a":
        return array[:, :rank]
    if leaf == "lora_b":
        return array[..., :rank] if array.ndim == 3 else array[:rank]
    return array
