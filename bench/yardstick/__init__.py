"""What a careful person writes with DRF and the ORM in an afternoon; the platform's acceptance is measured by it.

It validates the same fields, looks the key up, checks the sender's domain, the suppressions and the daily limit, and
saves message, recipient and event in a transaction. A second address leaves the checks out.
"""
