"""The database of a workspace: accounts, submissions, the queue, results and the audit log.

SQLite in the folder of the workspace, or PostgreSQL by URL, through the same models.
"""
