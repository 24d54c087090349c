"""What is wrong with a cluster, and what to type.

examine          all checks, in order
node_checks      one node by itself
firewall_check   its firewall, and the programs that listen
pair_checks      nodes with each other
ray_checks       Ray on the nodes
collect          what the checks look at, asked of all nodes at once
finding          one finding
"""
