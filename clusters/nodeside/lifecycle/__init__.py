"""What `up`, `down`, `status` and `reserve` run on nodes.

agent         holds Ray on a node for a supervisor, as long as the supervisor's session lives
meet          what is there before a daemon is given an order
settle        puts a daemon's files and its service there, and gives it an order
daemon        holds Ray on a node as a service of its system, as its order says
outcome       what an order has come to
stop          ends what an agent or a daemon holds, and removes a daemon's service
reserve       reserves the node for its owner, or releases it
node_status   who holds the node, and how warm it is
ray_status    on the head: what Ray knows of its nodes
service       a daemon's service of the system: a part of settle and stop
"""
