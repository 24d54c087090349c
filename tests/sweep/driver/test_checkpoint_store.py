"""What stays of checkpoints, and where: best reports, and stores outside the run directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import analysis
import train_core
from sweep.api.keeping.remove import carry_out, plan_removal
from sweep.api.run import Summary, run_study
from sweep.api.show import read_trial
from sweep.driver.build import check_choices
from sweep.driver.checkpoint_store import StoreThread
from sweep.driver.monitor.progress import Quiet
from sweep.errors import RunDirError, SpecError
from sweep.spec.parse import load
from tests.sweep.conftest import Folder

pytestmark = pytest.mark.usefixtures("uncompiled")


def run(folder: Folder, policy: str, *, trials: int = 4, direction: str = "minimize") -> Summary:
    folder.write(
        ("budget: {trials: 4}", f"budget: {{trials: {trials}}}\ncheckpoints: {policy}"),
        ("direction: minimize", f"direction: {direction}"),
    )
    return run_study(load(folder.study), runs=folder.runs, progress=Quiet())


def records(folder: Folder, event: str) -> list[dict[str, object]]:
    lines = map(json.loads, (folder.run_dir / "log.jsonl").read_text().splitlines())
    return [record for record in lines if record["event"] == event]


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*.safetensors")}


def test_the_best_report_of_a_kept_trial_stays_beside_its_last(folder: Folder) -> None:
    """Loss falls as the line is learnt, so the greatest is the first report's."""
    run(folder, "{keep_best: 1, keep_best_report: true}", direction="maximize")
    loaded = analysis.load(folder.run_dir)
    best = int(loaded.trials.sort_values("value").number.iloc[-1])
    reports = loaded.metrics[loaded.metrics.trial == best].set_index("examples").validation_loss
    assert reports.idxmax() == 64
    assert sorted(loaded.checkpoints.examples) == [64, 192]
    assert set(loaded.checkpoints.trial) == {best}
    first = loaded.checkpoints.set_index("examples").path[64]
    assert train_core.load(first).examples == 64


def test_without_it_only_the_last_stays(folder: Folder) -> None:
    run(folder, "{keep_best: 1}", direction="maximize")
    assert list(analysis.load(folder.run_dir).checkpoints.examples) == [192]


@pytest.mark.slow
def test_a_store_takes_what_is_kept_of_ended_trials_and_lets_go_what_is_superseded(
    folder: Folder, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    run(folder, f"{{keep_best: 2, store: 'file://{share}'}}")
    before = files(share / "line")
    assert len(before) == 2
    assert files(folder.run_dir) == set()
    run(folder, f"{{keep_best: 1, store: 'file://{share}'}}", trials=8)
    best = analysis.load(folder.run_dir).trials.sort_values("value").number.iloc[0]
    (left,) = files(share / "line")
    assert left.startswith(f"checkpoints/trial-{best:05d}/")
    stored = {record["path"]: record for record in records(folder, "checkpoint_stored")}
    assert stored[left]["url"] == f"file://{share}/line/{left}"
    assert train_core.load(share / "line" / left).examples == 192
    loaded = analysis.load(folder.run_dir)
    assert list(loaded.checkpoints.path) == [f"file://{share}/line/{left}"]
    share.rename(tmp_path / "away")
    with pytest.raises(analysis.RunError, match="cannot be fetched from the store"):
        loaded.weights(int(best))
    (tmp_path / "away").rename(share)
    assert loaded.weights(int(best))


def test_rm_deletes_from_the_store_and_show_lists_what_lies_there(folder: Folder, tmp_path: Path) -> None:
    share = tmp_path / "share"
    run(folder, f"{{keep_best: 2, store: 'file://{share}'}}")
    kept = sorted(files(share / "line"))
    shown = [path for n in range(4) for path in read_trial(folder.run_dir, n).checkpoints]
    assert sorted(shown) == [f"file://{share}/line/{path}" for path in kept]
    removal = plan_removal(folder.run_dir, keep_best=0)
    share.rename(tmp_path / "away")
    share.write_text("in the way")
    with pytest.raises(RunDirError, match="the store refuses to delete it"):
        carry_out(removal)
    share.unlink()
    (tmp_path / "away").rename(share)
    assert plan_removal(folder.run_dir, keep_best=0) == removal, "what was not deleted is still known"
    carry_out(removal)
    assert files(share) == set()
    assert analysis.load(folder.run_dir).checkpoints.empty
    assert [read_trial(folder.run_dir, n).checkpoints for n in range(4)] == [{}] * 4


@pytest.mark.slow
def test_a_checkpoint_is_deleted_where_it_was_sent_though_the_store_has_changed(
    folder: Folder, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    run(folder, f"{{keep_best: 2, store: 'file://{one}'}}", trials=2)
    run(folder, f"{{keep_best: 1, store: 'file://{other}'}}", trials=8)
    assert len(files(one) | files(other)) == 1
    assert len(analysis.load(folder.run_dir).checkpoints) == 1


@pytest.mark.slow
def test_what_the_store_refuses_stays_here_and_the_log_says_so(folder: Folder, tmp_path: Path) -> None:
    share = tmp_path / "share"
    (share / "line").mkdir(parents=True)
    (share / "line" / "checkpoints").write_text("in the way")
    summary = run(folder, f"{{keep_best: 2, store: 'file://{share}'}}")
    assert summary.counts["COMPLETE"] == 4
    assert len(files(folder.run_dir)) == 2
    assert any("The store answered" in str(record["text"]) for record in records(folder, "message"))
    (share / "line" / "checkpoints").unlink()
    run(folder, f"{{keep_best: 2, store: 'file://{share}'}}", trials=5)
    assert len(files(share / "line")) == 2
    assert files(folder.run_dir) == set()


def test_a_store_that_cannot_be_written_to_is_said_before_anything_is_trained(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunDirError, match=r"checkpoints.store .*cannot be written to"):
        run(folder, f"{{store: 'file://{tmp_path}/file'}}")
    assert records(folder, "asked") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [("flie:///tmp", "Did you mean `file`"), ("s3://bucket", "needs a package that is not installed")],
)
def test_a_store_of_an_unknown_kind_is_named(folder: Folder, url: str, said: str) -> None:
    folder.write(("budget: {trials: 4}", f"budget: {{trials: 4}}\ncheckpoints: {{store: '{url}'}}"))
    with pytest.raises(SpecError, match=said) as error:
        check_choices(load(folder.study))
    assert error.value.problems[0].key == "checkpoints.store"
    assert error.value.problems[0].line is not None


def test_a_store_is_not_a_path(folder: Folder) -> None:
    folder.write(("budget: {trials: 4}", "budget: {trials: 4}\ncheckpoints: {store: /tmp/share}"))
    with pytest.raises(SpecError, match="must be a URL that fsspec knows"):
        load(folder.study)


@pytest.mark.slow
def test_a_study_that_is_killed_while_it_sends_sends_again(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share"
    with monkeypatch.context() as patch:
        patch.setattr(StoreThread, "answers", _killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, f"{{keep_best: 2, store: 'file://{share}'}}")
    assert records(folder, "checkpoint_stored") == []
    run(folder, f"{{keep_best: 2, store: 'file://{share}'}}")
    best = {int(number) for number in analysis.load(folder.run_dir).trials.sort_values("value").number[:2]}
    kept = {int(path.split("trial-")[1][:5]) for path in files(folder.run_dir) | files(share / "line")}
    assert best <= kept


def _killed(store: StoreThread) -> list[object]:
    if store.busy:
        raise KeyboardInterrupt
    return []
