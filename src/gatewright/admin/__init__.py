"""Administration: principals and what is granted to them, over HTTP and from the command line.

One rule: the same rules hold whoever asks; `registrar.py` has them, and the API and the commands are thin.
"""
