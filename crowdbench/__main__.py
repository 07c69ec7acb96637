"""``python -m crowdbench`` is the command ``crowdbench``."""

from crowdbench.cli import main

if __name__ == "__main__":
    main()
