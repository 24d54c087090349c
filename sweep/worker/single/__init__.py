"""Trials that a worker trains one at a time.

one_trial        turns of one trial: reports out, its folder saved
session          what runs a trial
saving           when a trial's folder becomes its checkpoint
function         a function, called once a trial
function_trial   what a function is given
kept_trial       one trial, as what trains it sees it: its key, its folder, what it saved
function_report  what a function yields, as a report
saved_folder     a trial's folder, and when its checkpoints are taken
folder_contents  what lies in a trial's folder
packed_folder    a folder as one checkpoint file
"""
