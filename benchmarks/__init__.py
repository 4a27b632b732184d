"""Measurements: each module is a command that prints a table and, last, a line of JSON."""
