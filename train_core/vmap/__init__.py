"""What mx.vmap lacks.

rules         operations that are put in the place of those without a rule
im2col        windows of a convolution
convolution   convolutions over lanes
"""
