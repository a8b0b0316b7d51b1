"""`python -m yieldcast` runs the command line."""

from yieldcast.cli.app import main

if __name__ == "__main__":
    main()
