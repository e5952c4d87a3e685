"""Pictures of what the module does, on generated tables: ``python -m isotherm.systems.bridgevla.demo --mode all``."""
