"""A program of any kind that trains a trial: started, read, ended with all that it started.

session       one trial's process as a session of `single.one_trial`
surroundings  what it is given: arguments, environment, files
process       a process, ended with all that it starts
family        all that it starts: found and measured
watchdog      ends them where the worker itself is killed
ending        what the watchdog runs then
pipes         what comes out of it
output        what is kept of that
lines         bytes as lines of bounded length
metrics       reports in its lines
"""
