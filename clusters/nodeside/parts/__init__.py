"""What several programs have in common.

holding     the lock that an agent and its Ray share
starting    Ray as the child of its agent or daemon
hello       what a node is asked before Ray is started there
listening   whether ports are free
raycommand  Ray's command line, with what is needed of it
reserving   a reservation of the node
versions    this Python and the packages that all nodes must share
"""
