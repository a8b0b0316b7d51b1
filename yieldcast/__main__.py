"""`python -m yieldcast` is the command line."""

from yieldcast.cli.app import main

main()
