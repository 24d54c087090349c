"""A cluster brought up, held up and taken down.

bringup        `up` and `down`
supervisor     the process that keeps Ray up on all nodes, where `up` was typed
session        the supervisor's side of one node, over SSH
states         what the supervisor last said of its nodes
daemons        `up` where each node holds Ray itself, as a service of its system
joining        what a node must be before Ray starts there, and what it is given
raystart       the arguments of `ray start`
certificates   the cluster's own certificate authority, for `tls: auto`
looking        what a node says of itself: who holds it, whether it is reserved
status         `status`
"""
