"""`python -m yieldcast` is the command line."""

from yieldcast.cli import main

main()
