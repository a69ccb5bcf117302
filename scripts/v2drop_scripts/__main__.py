"""`python -m v2drop_scripts` was the `v2drop` command, and still is for one release."""

from . import main

if __name__ == "__main__":
    main()
