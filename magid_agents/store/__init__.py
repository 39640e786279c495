"""The files that a run writes and reads: journal, run directory, manifest and result files."""
