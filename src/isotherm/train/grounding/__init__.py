"""Training of language models with a head: recipe, data, model, the task of the loop, validation, and the whole run."""
