"""Figures of robot heatmaps, by matplotlib without its global state: nothing stays open."""
