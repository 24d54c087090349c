"""The values that pass between driver, executors and workers; no logic, nothing to import.

trial          trials, their plans, reports, snapshots and outcomes
turn           a slot's round trip, and what becomes of slots
harmless       what a program printed, such that a terminal obeys nothing in it
own_packages   our packages are found before a user's files of the same names
"""
