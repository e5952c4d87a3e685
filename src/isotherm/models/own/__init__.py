"""Modules of one's own: anything that takes pictures and comes from no package that isotherm knows."""
