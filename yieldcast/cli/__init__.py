"""The command line: commands, their options, and what a terminal shows.

Every command reads its options, calls one function of a room below, and prints the result. Errors become a
message with a hint and an exit code (`yieldcast.errors`). This is the only package that may import
`data_fetchers`; it may import all other packages, and none imports it.
"""
