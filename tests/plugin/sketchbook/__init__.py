"""A package that adds a painter, a scorer and a reader; docs/extending.md shows its files."""
