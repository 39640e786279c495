"""The local page over run directories, and the report, from the same templates."""
