"""Batch evaluation: a dataset, asked in several modes, scored against its gold answers and evidence."""
