"""Gaze that conditions a video model: inputs with states, ways into its tokens, and what is predicted."""
