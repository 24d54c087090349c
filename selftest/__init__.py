"""Whether this project's claims hold on the machine at hand: `python -m sweep selftest`.

results      what a check found: a value, and how it is said
groups       the checks by group, each group in a process of its own
exactness    keys, lanes, resumed training, rules of lanes: which agree bit for bit
models       the three small models that are trained
speed        the gain of lanes, and a step against a hand-written loop
memory       the memory guard and the cache's limit
population   a population that is killed: its members, its lineage, a replay
studies      a real study on Ray: a killed worker, Ctrl-C, the report
machine      the chip and versions, without anything personal
recorded/    results of other chips, and the keys' values
records      what is read from there
page         selftest.html
table        the table in the terminal
suite        all of it, in order
"""
