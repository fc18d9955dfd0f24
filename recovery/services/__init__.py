"""The verbs of the app, one a file."""
