"""Attacks by files of weights, folders of models and texts: each tries to run code, to read what lies elsewhere, or to
use up the machine, and each is tried through every door, under every order of imports and every switch of the environment.
"""
