"""`python -m haulier` is the `haulier` command."""

from haulier.cli.main import main

if __name__ == "__main__":
    main()
