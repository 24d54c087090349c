"""Studies written in Python: a class or a function instead of a study file; and what running one gives.

given      a study file's keys as arguments; the study they make, and the source that goes with it
space      entries of a space in few words
pieces     the source of one class or function, and the global names it uses
values     a global name's value, written as Python
travel     a class or function with all that it needs, as a module in the run directory
asking     trials that a program asks for and tells of
handle     a study that runs in a thread, and what it can be asked
summary    how a study stands when a session ends
html       the same as a notebook shows it
"""
