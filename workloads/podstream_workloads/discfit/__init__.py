"""Finds one disc in a yuv420p picture to a few hundredths of a pixel, without colour conversion.

Coarse search on box means, then a maximum-likelihood fit of centre, radius, edge width, levels and
background slope to the pixels of the edge, then tests that a disc must pass. `tracker` is the way
in. The loops over pixels exist twice, compiled (`_kernel`) and in numpy (`plain`); see
docs/adr/0009. Accuracy is bounded by sqrt(2 / (pi r G)) s/A pixels (radius r, contrast A, white
noise s, G the integral of the squared line spread function): the Fisher information of the edge.
"""
