"""From source files to what a library stores: loading, chunking, facts and key elements."""
