"""A model small enough to train here that finds what an instruction means on a table with coloured blocks."""
