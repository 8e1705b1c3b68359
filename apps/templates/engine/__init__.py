"""The template language: python-liquid behind a guard, so that no template and no value can hurt the platform.

Text comes in and text goes out; nothing here knows of a database. docs/decisions/0020 says what the guard is for.
"""
