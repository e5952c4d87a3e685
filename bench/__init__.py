"""Benchmarks: each module has ``main(quick: bool)``; ``python -m bench`` runs all and prints one table."""
