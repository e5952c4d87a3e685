"""Every reader of isotherm, tried with damaged and hostile inputs: ``make fuzz``, or ``python -m bench.fuzz [names]``."""
