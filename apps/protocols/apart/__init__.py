"""Reads what strangers wrote in a process of its own, which may use so much and no more and is killed beyond that.

`pool.py` is the side that asks, `child.py` the process, `values.py` what travels between them, `tasks.py` what can be
asked. A child imports neither Django nor a setting, and has no secret in its environment.
"""
