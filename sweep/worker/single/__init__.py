"""Trials that a worker trains one at a time.

one_trial        turns of one trial: reports out, its folder saved
session          what runs a trial
saving           when a trial's folder becomes its checkpoint
function         a function, called once a trial
function_trial   what a function is given
function_report  what a function yields, as a report
packed_folder    a folder as one checkpoint file
"""
