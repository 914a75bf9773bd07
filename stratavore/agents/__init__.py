"""What Stratavore knows of the programs it runs: an adapter each, and nothing of them anywhere else."""
