"""Workers as Ray actors; only `setup` imports ray.

executor   actors started, given turns, replaced
actor      what runs in an actor's process
nodes      the nodes that Ray has, as plain values
own        a Ray of this study's own, on this machine
joined     a cluster's Ray, joined
cluster    a cluster as a study needs to know it
deadline   calls to Ray that may not answer
setup      ray.init and what must be set before it
"""
