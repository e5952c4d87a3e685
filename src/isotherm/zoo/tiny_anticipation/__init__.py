"""A small V-JEPA 2 that anticipates the next action in generated clips from pictures and gaze."""
