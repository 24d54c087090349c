"""Decides, from events, what is asked, trained, judged and told. Pure: no clock, no input or output.

`transition(state, event, now)` changes the state in place and returns instructions; the driver performs
them and hands what comes of it back as events. All that it decides follows from the order of events, so
a test can play any interleaving.

    messages   events and instructions      state     what is known
    turns      what each slot does next     endings   how trials end
    faults     what goes wrong              placement which slot is given which run
"""

from sweep.scheduler.state import Constraint, Limits, Phase, State
from sweep.scheduler.transition import transition

__all__ = ["Constraint", "Limits", "Phase", "State", "transition"]
