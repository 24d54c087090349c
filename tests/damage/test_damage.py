"""A hundred damages of every kind: none is silent. `make damage` tries as many as are asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runlog.integrity import checksum
from tests.damage import damages, source
from tests.damage.__main__ import attempt, try_seeds
from tests.damage.reading import read

DAMAGES = 100


@pytest.fixture(scope="module")
def sound_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return source.make(tmp_path_factory.mktemp("runs"))


def test_the_source_has_one_of_everything(sound_dir: Path) -> None:
    kinds = {path.relative_to(sound_dir).parts[0] for path in damages.files_of(sound_dir)}
    named = {"log.jsonl", "study.yaml", "provenance.json", "optuna.journal", "trials.parquet"}
    assert kinds >= {*named, "metrics", "checkpoints"}
    content = read(sound_dir)
    assert content.said == ()
    assert all(len(each) for each in content.found.values())


@pytest.mark.slow
def test_invariant_12_no_damage_is_silent(sound_dir: Path) -> None:
    tally = try_seeds(sound_dir, 0, DAMAGES)
    assert not tally.wrong, "\n".join(f"seed {seed}: {text}" for seed, text in tally.wrong.items())
    assert tally.counts["said"] > DAMAGES // 2


def test_a_seed_decides_the_damage(sound_dir: Path, tmp_path: Path) -> None:
    done = []
    for name in "ab":
        shutil.copytree(sound_dir, tmp_path / name)
        done.append([damages.damage(tmp_path / name, seed) for seed in range(5)])
    assert done[0] == done[1]


def test_a_reader_that_checks_nothing_is_found(
    sound_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before format 2: a line of the log is read whatever its bytes are."""

    def change_a_digit(run_dir: Path, seed: int) -> damages.Damage:
        log = run_dir / "log.jsonl"
        data = bytearray(log.read_bytes())
        at = data.index(b'"values":[0.') + len(b'"values":[0.')
        data[at] ^= 1
        log.write_bytes(data)
        return damages.Damage("flip", log.name, at, 1)

    monkeypatch.setattr(damages, "damage", change_a_digit)
    sound = read(sound_dir)
    assert attempt(sound_dir, sound, tmp_path / "run", 0)[0] == "said"
    monkeypatch.setattr(checksum, "holds", lambda line: True)
    assert attempt(sound_dir, sound, tmp_path / "run", 0)[0] == "silent"
