"""V-JEPA 2 from its parts: encoder and predictor, with attention that may be conditioned."""
