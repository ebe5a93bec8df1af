"""Finding out: held-out games, exact solvers, arenas, intervals."""
