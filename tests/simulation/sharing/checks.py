"""A history of several studies, played and checked."""

from __future__ import annotations

import random
from collections import Counter

from tests.simulation.checks import SAME, _log, _table, _undisturbed_table, require
from tests.simulation.history import folder, without_tables
from tests.simulation.recipe import Recipe
from tests.simulation.sharing.history import History, Plan, settle


def play(plan: Plan) -> History:
    """Play it and check it. Raises whatever went wrong."""
    random.seed(plan.seed)
    with folder() as root, without_tables():
        history = History(plan, root)
        history.run()
        settle(history)
        for each in history.studies:
            log = _log(each.root / "simulated")
            told = Counter(record["trial"] for record in log if record["event"] == "told")
            rows = Counter(
                (row["trial"], row["replicate"], row["examples"]) for row in log if row["event"] == "report"
            )
            require(set(told.values()) == {1}, f"{each.name}: a trial must be told once: {told}")
            require(set(rows.values()) == {1}, f"{each.name}: a row must be recorded once: {rows}")
            same = {name: getattr(each.recipe, name) for name in SAME}
            alone = _undisturbed_table(Recipe(0, trials=each.recipe.trials, **same))
            require(_table(log) == alone, f"{each.name} must have the table that it makes alone")
            if not plan.troubles and each.share.give_up_within_s > 10.0:
                lost_s = sum(
                    record["ledger"].get("lost_s", 0.0) for record in log if record["event"] == "told"
                )
                require(not lost_s, f"{each.name}: what is saved is not lost: {lost_s} s")
    return history
