"""Training models that say what happens next in a video, with or without knowing where the person looks."""
