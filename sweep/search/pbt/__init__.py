"""Population based training: members that are worse copy better ones, and try other hyperparameters.

Jaderberg et al., Population Based Training of Neural Networks, 2017, asynchronous.

sampler     what members begin with
decisions   what becomes of members at a boundary
selection   which of them copy which
explore     a copied member's hyperparameters, perturbed or drawn again
bandit      its numbers by a Gaussian process over what intervals brought
"""
