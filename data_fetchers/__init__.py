"""Everything that talks to a service (weather, soil, yields).

No fetcher has been written yet: today tables come in through ``yieldcast import``. The core package
never opens a socket, so this package is imported by the command line and by ``experiments`` only.
"""
