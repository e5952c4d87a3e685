"""What the studio's benchmark is made of; ``bench/studio.py`` runs it."""
