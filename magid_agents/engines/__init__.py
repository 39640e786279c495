"""Other ways to run a run than in this one process; each in a file of its own, imported when asked for."""
