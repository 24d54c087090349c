"""Decides what is asked, trained, judged and told: a sans-I/O state machine, events in, instructions out.

`transition(state, event, now)` changes the state in place and returns instructions; the driver performs
them and hands what comes of it back as events. It has no clock, no input and no output: all that it decides
follows from the order of events, so a test can play any interleaving.

messages         events and instructions
transition       one event in, instructions out
limits           what it goes by in one session
state            what it knows, which module changes it, and `validate`
live             live trials and their runs
slots            workers, and what they have been given
queues           runs that wait for a lane
feeding          which slots are given turns, and how many trials are asked for
turns            what a slot's next turn is
widths           how many lanes a slot opens
placement        which slot is given which run
endings          how trials end
in_order         in a fixed order, what trials report is entered boundary by boundary
faults           what goes wrong
leaving          slots that are given back
validation       what must hold between transitions, and the last of them, for tests (a package)
population       members that copy each other (a package)
device_loss      a GPU that refuses a worker's process
"""

from sweep.scheduler.limits import Aim, Constraint, Limits, Patience
from sweep.scheduler.state import Phase, State
from sweep.scheduler.transition import transition

__all__ = ["Aim", "Constraint", "Limits", "Patience", "Phase", "State", "transition"]
