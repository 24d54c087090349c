"""The values that pass between driver, executors and workers; no logic, nothing to import.

trial          trials, their plans, reports, snapshots and outcomes
turn           a slot's round trip, and what becomes of slots
own_packages   our packages are found before a user's files of the same names
"""
