"""For tests: what must hold between transitions, and what happened last.

invariants       what must hold
transition_log   the last transitions, for a failing test to print
"""
