"""Playing with the agent of a run, in the terminal."""
