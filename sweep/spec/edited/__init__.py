"""A study file that changed between two sessions, and trials of another space.

differences   what may not change when a study is resumed, and did
edits         the space, edited: what cannot be meant, and what earlier trials are in it
fitting       a trial of another space in this one
"""
