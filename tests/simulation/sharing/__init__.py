"""Several studies on one simulated Ray, with the broker between them: one seed decides all that goes wrong.

Drivers, schedulers, the executor for Ray, seats and broker are the real ones. Brokers, drivers and nodes are
killed, answers are lost, drivers are suspended. At the end every study has told each of its trials once, and
has the table that it makes alone; no slot was held twice, and none is left.

    python -m tests.simulation.sharing --histories 10000
    python -m tests.simulation.sharing --histories 1 --seed 42
"""
