"""Several studies on one machine, or on one cluster, share its slots.

policy    which study may hold how many slots of which node
messages  what drivers say, and what the broker answers
broker    who has which slots: no clock, no transport
seat      a driver's side
local     the broker of this machine, in the process of one of its drivers
"""
