"""Several Macs as one machine: their inventory, what is wrong with them, Ray on all of them. Knows no sweeps.

inventory       the file that names the Macs, or an mlx.launch host file
schema          what that file may say
addresses       looks up the addresses that it leaves out
paths           where our files lie on a node, and the environment of Ray's processes
remote          commands on a node, here or over SSH, each with a deadline
ask             a program run on a node, and the JSON that it answers
nodeside/       the programs that run there
facts/          what a node is: system commands run on it in one go, and what their outputs say
doctor/         what is wrong on each node, and what to type
lifecycle/      `up`, `down` and `status`
sync            the project and its environment copied to every node
connection      how a driver joins a cluster that is up
reserve         a node that is its owner's for a while, and no study's
remote_job      a study's command that runs on the head
report          tables and lines for the terminal
commands        the verbs of `python -m sweep cluster`
errors          what is raised
"""
