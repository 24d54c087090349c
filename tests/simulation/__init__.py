"""A deterministic simulation: one seed decides a study, its workers, its disk and all that goes wrong.

Scheduler, driver, search and run directory are the real ones; workers, clock and disk are simulated. After
every transition the scheduler's state is validated. At the end every trial was told once, nothing is lost,
and with the faults over the history ended within a bounded number of steps.

    python -m tests.simulation --seeds 10000            many histories, on all cores
    python -m tests.simulation --in-order               of studies in a fixed order, equal to quiet ones
    python -m tests.simulation --start 4711 --seeds 1   one again
    python -m tests.simulation --replay '{...}'         one that was made smaller
    python -m tests.simulation --with-fault 12          with a fault of the past, until it is found

recipe      what one seed decides, as a value that can be printed, read back and made smaller
studies     the study of a recipe
edits       what a person changes between two sessions
executor    workers that are lost, hang, fail, and whose messages come late or twice
disk        a disk that is killed under, cut off from power, or full
history     the sessions of one study, from the first to the end
checks      what must hold in the end
put_back    faults of the past, which histories must find
shrinking   the least recipe that still fails
"""
