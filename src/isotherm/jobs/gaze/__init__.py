"""Gaze in files: importing what eye trackers and data sets write, and converting stores of it."""
