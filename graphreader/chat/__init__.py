"""Conversations over documents with a memory: what `graphreader chat` and ``GraphReader.chat`` do."""
