"""Losses of heatmaps against points, without a target where one is not needed, and against any target map."""
