"""Tables for a terminal: results of the packages below come in, rich renderables (or Markdown) go out.

Views compute nothing that is stored, and only `yieldcast.cli` and scripts use them.
"""
