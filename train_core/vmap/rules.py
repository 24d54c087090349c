"""What `mx.vmap` lacks, put in for lanes: convolutions, pooling, quantized products, plain layer norm.

`over_lanes` replaces functions of `mlx.core` while one lane's computation is traced, so that a task's
unmodified layers run in lanes. At width 1 only checkpoints are replaced, on a GPU activations, and on CUDA
convolutions (see `im2col.Geometry.plain`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from train_core import device
from train_core.vmap import activations, assignment, checkpointed, elementwise, experts, fused
from train_core.vmap.checkpointed import put_in
from train_core.vmap.convolution import in_lanes, one_by_one, strided
from train_core.vmap.custom import Axes
from train_core.vmap.im2col import Geometry, strided_index

Rules = tuple[tuple[Any, str, Any], ...]

_WITNESS: ContextVar[mx.array | None] = ContextVar("witness", default=None)
"""An array of the lane that is traced here; None elsewhere, in other threads too."""


_USED: ContextVar[set[str] | None] = ContextVar("used", default=None)


@contextmanager
def noting() -> Iterator[set[str]]:
    """Collect the names of the rules that lanes traced in this block come to use."""
    used: set[str] = set()
    token = _USED.set(used)
    try:
        yield used
    finally:
        _USED.reset(token)


def _noted(name: str, rule: Callable[..., mx.array]) -> Callable[..., mx.array]:
    """Return a rule that says where it is used: by MLX's name, arithmetic by that word."""
    used = _USED.get()
    if used is None or name in ("__setitem__", "at"):  # keys are assigned in every lane; no function
        return rule

    def called(*arguments: Any, **named: Any) -> mx.array:
        used.add("arithmetic" if name in _ARITHMETIC else name)
        return rule(*arguments, **named)

    return called


def over_lanes(lane: Callable[..., Any]) -> Callable[..., Any]:
    """Return `mx.vmap` of a function of one lane, the rules applied inside it."""

    def ruled(*arguments: Any) -> Any:
        # The smallest argument that is mapped stands for the lane: what is made from it differs by lane.
        leaves: Any = tree_flatten(list(arguments))
        rules = (*_RULES, *_ACTIVATIONS) if device.kind() == "gpu" else _RULES
        with _applied(rules, min((leaf for _, leaf in leaves), key=lambda leaf: leaf.size)):
            return lane(*arguments)

    return mx.vmap(ruled)


def alone(lane: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of one lane that is not mapped; what it checkpoints draws the same the second time.

    On a GPU with activations in one kernel, on CUDA with convolutions that are right there too.
    """
    on_gpu = device.kind() == "gpu"
    rules = (*_ACTIVATIONS, *(_CONVOLUTIONS if device.cuda() else ()))

    def ruled(*arguments: Any) -> Any:
        with put_in(checkpointed.alone), _applied(rules, None) if on_gpu else nullcontext():
            return lane(*arguments)

    return ruled


@contextmanager
def _applied(rules: Rules, witness: mx.array | None) -> Iterator[None]:
    """Run a block under rules: one that `mx.vmap` maps with a `witness` that differs by lane, else None."""
    # mlx.nn looks these names up at each call (mx.conv2d), so replacing them reaches unmodified layers. Only
    # while tracing: a compiled step never comes back here.
    replaced = [(module, name, getattr(module, name)) for module, name, _ in rules]
    token = _WITNESS.set(witness)
    compiling = _compiles()
    # Functions that are compiled by themselves (most of mlx.nn's activations) are called as they are: a graph
    # that MLX kept of them would hold the rules for good, and a shapeless one cannot hold a rule at all.
    mx.disable_compile()
    for module, name, rule in rules:
        setattr(module, name, _noted(name, rule))
    try:
        yield
    finally:
        if compiling:
            mx.enable_compile()
        for module, name, function in replaced:
            setattr(module, name, function)
        _WITNESS.reset(token)


_PROBED: list[int] = []
"""Grows where Python runs inside the compiled function below: MLX does not say whether it compiles."""


@mx.compile
def _probe(x: mx.array) -> mx.array:
    _PROBED.append(1)
    return -x


def _compiles() -> bool:
    """Whether `mx.compile` compiles, rather than being switched off."""
    _probe(mx.array(0.0))
    before = len(_PROBED)
    _probe(mx.array(0.0))
    return len(_PROBED) == before


def _sizes(value: int | Sequence[int], dimensions: int) -> tuple[int, ...]:
    return (value,) * dimensions if isinstance(value, int) else tuple(value)


def _conv_general(
    input: mx.array,
    weight: mx.array,
    /,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | tuple[Sequence[int], Sequence[int]] = 0,
    kernel_dilation: int | Sequence[int] = 1,
    input_dilation: int | Sequence[int] = 1,
    groups: int = 1,
    flip: bool = False,
    *,
    stream: Any = None,
) -> mx.array:
    n = input.ndim - 2
    sides = padding if isinstance(padding, tuple) and not isinstance(padding[0], int) else (padding, padding)
    low, high = (_sizes(side, n) for side in sides)
    geometry = Geometry(
        _sizes(stride, n), low, high, _sizes(kernel_dilation, n), _sizes(input_dilation, n), groups, flip
    )
    return _convolved(input, weight, geometry)


def _conv(
    input: mx.array,
    weight: mx.array,
    /,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    stream: Any = None,
) -> mx.array:
    return _conv_general(input, weight, stride, padding, dilation, 1, groups)


def _conv_transpose(
    input: mx.array,
    weight: mx.array,
    /,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    *,
    stream: Any = None,
) -> mx.array:
    """As MLX has it: a convolution of the spread-out input with the kernel turned around."""
    n = input.ndim - 2
    extra, steps, dilations = _sizes(output_padding, n), _sizes(stride, n), _sizes(dilation, n)
    reach = [d * (k - 1) for d, k in zip(dilations, weight.shape[1:-1], strict=True)]
    low = tuple(r - p for r, p in zip(reach, _sizes(padding, n), strict=True))
    high = tuple(lo + e for lo, e in zip(low, extra, strict=True))
    return _convolved(input, weight, Geometry((1,) * n, low, high, dilations, steps, groups, flip=True))


def _convolved(x: mx.array, w: mx.array, geometry: Geometry) -> mx.array:
    if _WITNESS.get() is not None:
        return in_lanes(_touched(x), w, geometry)
    if not device.cuda() or geometry.plain:
        return geometry.convolve(x, w)
    return strided(x, w, geometry) if geometry.right_by_lane else in_lanes(x, w, geometry)


def _as_strided(
    a: mx.array,
    /,
    shape: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    offset: int = 0,
    *,
    stream: Any = None,
) -> mx.array:
    """A gather by constant indices: its gradient adds in the order of MLX's own gradient of this."""
    if shape is None or strides is None:
        raise ValueError("as_strided in lanes: shape and strides must be given")
    row = a.size // len(a)
    reach = sum((n - 1) * step for n, step in zip(shape[1:], strides[1:], strict=True))
    if shape[0] == len(a) and strides[0] == row and not offset and reach < row:  # as pooling has it
        return a.reshape(len(a), row)[:, strided_index(tuple(shape[1:]), tuple(strides[1:]))]
    return a.reshape(-1)[strided_index(tuple(shape), tuple(strides), offset)]


def _quantized_matmul(
    x: mx.array,
    w: mx.array,
    /,
    scales: mx.array,
    biases: mx.array | None = None,
    transpose: bool = True,
    group_size: int | None = None,
    bits: int | None = None,
    mode: str = "affine",
    *,
    stream: Any = None,
) -> mx.array:
    """With weights that all lanes share, lanes are folded into the batch; else one product a lane."""
    parts = (w, scales) if biases is None else (w, scales, biases)
    how: Any = {"transpose": transpose, "group_size": group_size, "bits": bits, "mode": mode}
    dtype = mx.result_type(x, *parts[1:])

    def alone(x: mx.array, w: mx.array, *numbers: mx.array) -> mx.array:
        result: mx.array = _native_quantized_matmul(x, w, *numbers, **how)
        return result

    @mx.custom_function
    def product(x: mx.array, *parts: mx.array) -> mx.array:
        full: mx.array = _native_dequantize(*parts, group_size=group_size, bits=bits, mode=mode).astype(dtype)
        return x @ (full.T if transpose else full)

    @product.vjp
    def gradients(primals: Sequence[mx.array], out: mx.array, _: mx.array) -> tuple[mx.array, ...]:
        x, w, *rest = primals
        arguments: Any = (out, w, *rest)
        back = _quantized_matmul(*arguments, **how | {"transpose": not transpose})
        if len(rest) == 1:  # MLX has no gradient for the scales of modes without biases
            return back, mx.zeros_like(w), mx.zeros_like(rest[0])
        return back, mx.zeros_like(w), *mx.vjp(lambda *rest: alone(x, w, *rest), rest, [out])[1]

    @product.vmap
    def rule(arguments: Sequence[mx.array], axes: Axes) -> tuple[mx.array, int]:
        if any(axis is not None for axis in axes[1:]):
            return one_by_one(alone, arguments, axes), 0
        return alone(mx.moveaxis(arguments[0], axes[0] or 0, 0), *arguments[1:]), 0

    result: Any = product(_touched(x.astype(dtype)), *parts)
    return result  # type: ignore[no-any-return]


def _gather_mm(a: mx.array, b: mx.array, /, *rest: Any, **named: Any) -> mx.array:
    return experts.gather_mm(_touched(a), b, *rest, **named)


def _gather_qmm(x: mx.array, w: mx.array, /, *rest: Any, **named: Any) -> mx.array:
    return experts.gather_qmm(_touched(x), w, *rest, **named)


def _touched(x: mx.array) -> mx.array:
    """Return x as the lane's own.

    Of what all lanes share no rule would be asked, and the body in its place gives it to rounding only.
    """
    witness = _WITNESS.get()
    if witness is None:  # another thread calls while the rules are in place
        return x
    # As many axes as x has: see `optim.Optimizer.update`.
    return mx.where(mx.all(witness == witness).reshape((1,) * x.ndim), x, x)


# Taken at import, before any rule stands in their place.
_native_dequantize: Any = mx.dequantize
_native_quantized_matmul: Any = mx.quantized_matmul

_CONVOLUTIONS: Rules = (
    (mx, "conv1d", _conv),
    (mx, "conv2d", _conv),
    (mx, "conv3d", _conv),
    (mx, "conv_general", _conv_general),
    (mx, "conv_transpose1d", _conv_transpose),
    (mx, "conv_transpose2d", _conv_transpose),
    (mx, "conv_transpose3d", _conv_transpose),
)

_ARITHMETIC = frozenset(name for _, name, _ in elementwise.rules())

_ACTIVATIONS: Rules = tuple(activations.rules())

_RULES: Rules = (
    *_CONVOLUTIONS,
    (mx, "as_strided", _as_strided),
    (mx, "quantized_matmul", _quantized_matmul),
    (mx, "gather_mm", _gather_mm),
    (mx, "gather_qmm", _gather_qmm),
    (mx, checkpointed.NAME, checkpointed.in_lanes),
    (mx.array, "__setitem__", assignment.assign),
    (mx.array, "at", assignment.at),
    (mx.fast, "scaled_dot_product_attention", fused.attention),
    (mx.fast, "layer_norm", fused.layer_norm),
    (mx.fast, "rms_norm", fused.rms_norm),
    (mx.fast, "rope", fused.rope),
    (mx.fast, "cross_entropy", fused.cross_entropy),
    *elementwise.rules(),
)
