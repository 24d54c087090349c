"""What MLX's RuntimeErrors mean, in the words that users of Metal and CUDA have recorded."""

from __future__ import annotations

import pytest

from train_core.device_errors import is_device_lost, is_out_of_memory
from train_core.errors import TaskError

METAL = "[METAL] Command buffer execution failed: "

LOST = [
    METAL + "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity).",
    METAL + "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout).",
    METAL
    + "Ignored (for causing prior/excessive GPU errors) "
    + "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored).",
    METAL + "Internal Error (0000000e:Internal Error)",
    "cudaGraphLaunch(graph, stream) failed: an illegal memory access was encountered",
]
FULL = [
    METAL + "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "[metal::malloc] Resource limit (499000) exceeded.",
    "[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum allowed buffer size.",
    "[malloc] Unable to allocate 9 bytes.",
    "cudaMallocAsync(&data, size, stream) failed: out of memory",
    "cuModuleLoadDataEx failed: CUDA_ERROR_OUT_OF_MEMORY",
]


@pytest.mark.parametrize("text", LOST)
def test_a_gpu_that_refuses_the_process_is_told_from_a_lack_of_memory(text: str) -> None:
    error = RuntimeError(text)
    assert (is_device_lost(error), is_out_of_memory(error)) == (True, False)


@pytest.mark.parametrize("text", FULL)
def test_a_lack_of_memory_is_known_by_the_words_of_metal_and_cuda(text: str) -> None:
    error = RuntimeError(text)
    assert (is_device_lost(error), is_out_of_memory(error)) == (False, True)


def test_what_was_raised_anew_as_the_tasks_error_is_known_by_its_cause() -> None:
    error = TaskError("task.py:3: data: RuntimeError")
    error.__cause__ = RuntimeError(LOST[0])
    assert is_device_lost(error)


def test_other_errors_are_the_tasks() -> None:
    for error in (RuntimeError("shapes do not match"), ValueError(LOST[0])):
        assert (is_device_lost(error), is_out_of_memory(error)) == (False, False)
