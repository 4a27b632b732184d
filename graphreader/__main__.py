"""``python -m graphreader`` and the console script."""

from __future__ import annotations

from graphreader.cli import main

if __name__ == "__main__":
    main()
