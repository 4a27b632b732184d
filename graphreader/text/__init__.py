"""Pure functions on strings: sentences, index terms. Knows no record, no file and no model."""
