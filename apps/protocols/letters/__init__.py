"""Reads mail that strangers send to our customers: header, texts, files (RFC 5322, 2045-2047, 2231).

Whatever it holds, something comes of it; time and memory grow no faster than its size.
"""
