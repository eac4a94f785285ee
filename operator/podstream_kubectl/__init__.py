"""The kubectl plugin: `kubectl podstream`.

Owns what a person does with sessions at a terminal: run, watch, read results and logs, control,
and look for what is broken in an installation. It talks to the cluster through kubectl itself, so
that every login, proxy and context that kubectl knows works here too, and needs nothing installed
beside it.
"""
