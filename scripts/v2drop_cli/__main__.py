"""`python -m v2drop_cli` is the `v2drop` command."""

from . import main

if __name__ == "__main__":
    main()
