"""One module for each file format: bytes in, ``content.Extracted`` out. No file is opened here."""
