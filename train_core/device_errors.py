"""What MLX's errors say of the device: too little memory, or a GPU that refuses this process from now on.

MLX raises RuntimeError for all of them; only the words tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator

_OUT_OF_MEMORY = (
    "out of memory",
    "out_of_memory",  # CUDA_ERROR_OUT_OF_MEMORY
    "outofmemory",  # kIOGPUCommandBufferCallbackErrorOutOfMemory
    "insufficient memory",
    "unable to allocate",
    "exceeds the maximum",
    "[metal::malloc]",  # too large a buffer, or too many of them
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED
)
_DEVICE_LOST = (
    "command buffer execution failed",  # Metal
    "kiogpucommandbuffercallbackerror",
    "cudaerrorlaunch",
    "an illegal memory access was encountered",
    "unspecified launch failure",
    "the launch timed out and was terminated",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether MLX or Python ran out of memory, here or in what caused the error."""
    return any(isinstance(each, MemoryError) or _says(each, _OUT_OF_MEMORY) for each in _causes(error))


def is_device_lost(error: BaseException) -> bool:
    """Return whether a GPU has failed in a way that ends the process's use of it.

    On a Mac the system's watchdog ends a command buffer that delays the display. From then on it may refuse
    all that the process submits; a new process is not affected.
    """
    lost = any(isinstance(each, RuntimeError) and _says(each, _DEVICE_LOST) for each in _causes(error))
    return lost and not is_out_of_memory(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it was raised from: the task's errors are raised again with their place."""
    while error is not None:
        yield error
        error = error.__cause__


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(each in text for each in words)
