"""Where a runner's process lives: run directory, processes, terminal."""
