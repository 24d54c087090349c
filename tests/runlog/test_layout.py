import pytest

from runlog.layout import CheckpointName


def test_checkpoint_names_read_back_and_look_as_documented() -> None:
    name = CheckpointName(12, 0, 12800)
    assert name.path == "checkpoints/trial-00012/replicate-0/examples-000012800.safetensors"
    assert CheckpointName.parse(name.path) == name
    assert CheckpointName.parse(CheckpointName(123456, 10, 10**10).path) == (123456, 10, 10**10)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "log.jsonl",
        "/checkpoints/trial-00012/replicate-0/examples-000012800.safetensors",
        "checkpoints/trial-00012/../../examples-000012800.safetensors",
        "../checkpoints/trial-00012/replicate-0/examples-000012800.safetensors",
        "checkpoints/trial-00012/replicate-0/examples-000012800.safetensors\n",
    ],
)
def test_no_other_path_is_a_checkpoint(path: str) -> None:
    assert CheckpointName.parse(path) is None
