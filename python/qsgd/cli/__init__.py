"""The command `qsgd`: main.py runs it, and no other part of the package imports this folder."""
