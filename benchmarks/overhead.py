"""What a trial costs beyond its training: this, Ray Tune as documented and with reused actors, plain Optuna.

Same objective (it takes no time), same sampler, two workers. Ours goes the whole way: real driver, run
directory, journal and Ray actors, with `benchmarks.toy` in place of training. Times run from the moment
the workers are there (Ray Tune: its first trial's start) to the end. Ray Tune needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import optuna

from benchmarks import asks, before, measure, ours, toy
from benchmarks.measure import Benchmark, Ratio
from sweep.executors.ray.actor import training_worker

SEED = 0
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "random": lambda: optuna.samplers.RandomSampler(seed=SEED),
    "tpe": lambda: optuna.samplers.TPESampler(seed=SEED, constant_liar=True),
}


def plain_optuna(sampler: str, *, trials: int, reports: int) -> float:
    """Seconds for a loop of ask, report and tell in memory, without any worker."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=SAMPLERS[sampler](), pruner=optuna.pruners.NopPruner())
    began = time.perf_counter()
    for _ in range(trials):
        trial = study.ask()
        params = {
            name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in ours.SPACE.items()
        }
        for step in range(1, reports + 1):
            value = toy.objective(params, step)
            trial.report(value, step)
        study.tell(trial, value)
    return time.perf_counter() - began


def tune(sampler: str, *, trials: int, reports: int, reuse_actors: bool) -> float:
    """Seconds for Ray Tune with OptunaSearch over two workers, from its first trial's start on."""
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Started(tune.Callback):
        at: float | None = None

        def on_trial_start(self, *_: object, **__: object) -> None:
            self.at = self.at or time.perf_counter()

    started = Started()
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    time.sleep(ours.SETTLE_S)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            Trainable if reuse_actors else train,
            param_space={
                **{name: tune.loguniform(low, high) for name, (low, high) in ours.SPACE.items()},
                "reports": reports,
            },
            tune_config=tune.TuneConfig(
                metric=toy.METRIC,
                mode="min",
                search_alg=OptunaSearch(sampler=SAMPLERS[sampler]()),
                num_samples=trials,
                max_concurrent_trials=2,
                reuse_actors=reuse_actors,
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                callbacks=[started],
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with measure.silent():
            results = tuner.fit()
        assert not results.num_errors, "every trial must end well"
        seconds = time.perf_counter() - (started.at or 0.0)
    ray.shutdown()
    return seconds


def train(config: dict[str, float]) -> None:
    """The objective as Ray Tune's documentation writes it."""
    from ray import tune

    for step in range(1, int(config["reports"]) + 1):
        tune.report({toy.METRIC: toy.objective(config, step)})


if importlib.util.find_spec("tensorboardX"):
    from ray.tune import Trainable as _Trainable

    class Trainable(_Trainable):
        """The objective as Ray Tune needs it to keep an actor from trial to trial."""

        def setup(self, config: dict[str, float]) -> None:
            self._config = config

        def step(self) -> dict[str, object]:
            step = self.iteration + 1
            done = step >= self._config["reports"]
            return {toy.METRIC: toy.objective(self._config, step), "done": done}

        def reset_config(self, new_config: dict[str, float]) -> bool:
            self._config = new_config
            return True


def _rows(
    benchmark: Benchmark, arguments: argparse.Namespace, earlier: Path | None
) -> dict[tuple[str, str, int, int], float]:
    """Milliseconds a trial by (system, sampler, trials, reports), medians over the rounds."""
    cases: list[tuple[str, str, int, int]] = [
        *(("ours", "random", trials, 1) for trials in (100, 1_000, 10_000)),
        *(("ours, function", sampler, 1_000, 1) for sampler in ("random", "tpe")),
        *(("optuna", "random", trials, 1) for trials in (100, 1_000, 10_000)),
        *((system, "tpe", 1_000, reports) for system in ("ours", "optuna") for reports in (1, 20)),
        ("tune, reused actors", "tpe", 1_000, 1),
        ("tune, reused actors", "tpe", 100, 20),
        ("tune, as documented", "tpe", 20, 1),
        ("tune, as documented", "tpe", 10, 20),
    ]
    if not importlib.util.find_spec("tensorboardX"):
        cases = [case for case in cases if not case[0].startswith("tune")]
        print("Ray Tune is left out: it needs the extra `bench`", file=sys.stderr)
    if arguments.only:
        cases = [case for case in cases if any(word in " ".join(map(str, case)) for word in arguments.only)]
    if earlier is not None:
        cases = [
            (name, sampler, trials, reports)
            for system, sampler, trials, reports in cases
            for name in ((system, system + before.SUFFIX) if system.startswith("ours") else (system,))
        ]
    costs: dict[tuple[str, str, int, int], list[float]] = {}
    for round_number in range(arguments.rounds):
        for case in cases:
            system, sampler, trials, reports = case
            if round_number and (system.startswith("tune") or trials == 10_000):
                continue
            measure.say(f"round {round_number + 1}: {case}")
            if earlier is not None and system.startswith("ours"):
                tree = earlier if system.endswith(before.SUFFIX) else before.ROOT
                its = (system.removesuffix(before.SUFFIX), sampler, trials, reports)
                seconds = before.measured(tree, f"overhead._seconds(*{its!r})")
            else:
                seconds = _seconds(system, sampler, trials, reports)
            costs.setdefault(case, []).append(seconds / trials * 1e3)
    for case, values in costs.items():
        names = ("system", "sampler", "trials", "reports")
        quartiles = Ratio.of(values) if len(values) > 1 else Ratio(values[0], values[0], values[0])
        row = {**dict(zip(names, case, strict=True)), "ms_a_trial": quartiles}
        benchmark.enter(row)
    return {case: statistics.median(values) for case, values in costs.items()}


def _seconds(system: str, sampler: str, trials: int, reports: int) -> float:
    if system == "ours":
        with tempfile.TemporaryDirectory() as folder:
            return ours.run(Path(folder), sampler=sampler, trials=trials, reports=reports).seconds
    if system == "ours, function":
        with tempfile.TemporaryDirectory() as folder:
            return ours.run(
                Path(folder),
                sampler=sampler,
                trials=trials,
                reports=reports,
                make_worker=training_worker,
                task=ours.FUNCTION,
            ).seconds
    if system == "optuna":
        return plain_optuna(sampler, trials=trials, reports=reports)
    return tune(sampler, trials=trials, reports=reports, reuse_actors="reused" in system)


def main() -> int:
    """Run all cases, judge the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", nargs="*", help="cases that hold one of these words")
    measure.add_before(parser)
    arguments = parser.parse_args()
    benchmark = Benchmark("Cost of a trial beyond its training", packages=("ray", "optuna"))
    with before.tree(arguments.before) as earlier:
        if not arguments.only or "asks" in arguments.only:
            asks.enter(benchmark, rounds=arguments.rounds, earlier=earlier)
        costs = _rows(benchmark, arguments, earlier)
    for sampler in ("random", "tpe"):
        function, task = (("ours, function", sampler, 1_000, 1), ("ours", sampler, 1_000, 1))
        if function in costs and task in costs:
            name = f"{sampler}: function / task"
            benchmark.checks.append(measure.check(name, costs[function] / costs[task], bound=1.2))
    for name, ours_case, theirs, bound in (
        ("tpe: ours / optuna in memory", ("ours", "tpe", 1_000, 1), ("optuna", "tpe", 1_000, 1), 0.5),
        ("tpe, 20 reports: ours / optuna", ("ours", "tpe", 1_000, 20), ("optuna", "tpe", 1_000, 20), 1.0),
        ("random: 10,000 trials / 100", ("ours", "random", 10_000, 1), ("ours", "random", 100, 1), 1.2),
    ):
        if ours_case in costs and theirs in costs:
            benchmark.checks.append(measure.check(name, costs[ours_case] / costs[theirs], bound=bound))
    for trials in (100, 1_000, 10_000):
        case = ("ours", "random", trials, 1)
        if case in costs:
            name = f"random: ms a trial at {trials} trials"
            benchmark.checks.append(measure.check(name, costs[case], bound=1.0))
    many = ("ours", "tpe", 1_000, 20)
    if many in costs:
        benchmark.checks.append(measure.check("tpe, 20 reports: ms a report", costs[many] / 20, bound=0.15))
    for theirs, bound in (
        (("tune, reused actors", "tpe", 1_000, 1), 6.0),
        (("tune, as documented", "tpe", 20, 1), 150.0),
    ):
        ours_case = ("ours", "tpe", 1_000, 1)
        if ours_case in costs and theirs in costs:
            ratio = costs[theirs] / costs[ours_case]
            benchmark.checks.append(measure.check(f"{theirs[0]} / ours", ratio, bound=bound, side="at least"))
    return benchmark.finish(as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
