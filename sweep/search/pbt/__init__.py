"""Population based training: members that are worse copy better ones, and try other hyperparameters.

Jaderberg et al., Population Based Training of Neural Networks, 2017, asynchronous, with truncation selection.

sampler     what members begin with
decisions   which members copy which, from the values at a boundary
explore     a copied member's hyperparameters, perturbed or drawn again
"""
