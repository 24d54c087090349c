"""What mx.vmap lacks.

rules         operations that are put in the place of those without a rule, or with a slow one
custom        a function with a rule of its own for lanes
fused         MLX's fused kernels, with the lanes folded into the batch
elementwise   functions of numbers that stay outside of vmap
assignment    assignments by places
activations   GELU and SiLU in one kernel
experts       products with matrices chosen by index
checkpointed  functions whose inner values are computed twice
im2col        windows of a convolution
convolution   convolutions over lanes
"""
