"""A cluster brought up, held and taken down.

bringup        `up` and `down`
keeper         the process that holds a cluster up
hold           one node, held over ssh
daemons        nodes held by a service of their system
states         what the keeper last said of its nodes
joining        what a node is told to join
raystart       the command that starts Ray on a node
certificates   TLS between nodes
status         `status`
"""
