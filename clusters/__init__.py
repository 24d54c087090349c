"""Several Macs as one machine: their inventory, what is wrong with them, Ray on all of them. Knows no sweeps.

inventory       the file that names the Macs, or an mlx.launch host file
remote          commands on a node, here or over SSH, each with a deadline
doctor          what is wrong on each node, and what to type
sync            the project and its environment onto every node
bringup         Ray up and down on all nodes: starts and ends the keeper
keeper          holds all nodes, by an SSH session each (hold), and says how they stand (states)
daemons         has every node hold itself, by a service of its system
joining         what a node must be before Ray is started there, and what it is given
status          how each node stands
certificates    an authority of the cluster's own, for `tls: auto`
raystart        how Ray is started on a node
nodeside        the programs that run there
connection      how a driver joins a cluster that is up
errand          a command on the head that outlives who asked for it
commands        the verbs of `python -m sweep cluster`; the only module here that prints
"""
