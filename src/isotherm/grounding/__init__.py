"""Language models with a head: pictures and an instruction -> a heatmap of the place that is meant."""
