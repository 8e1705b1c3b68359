"""What a careful person writes with DRF and the ORM in an afternoon; the platform's acceptance is measured by it.

It validates the same fields, looks the key up, and saves the same three rows in a transaction; it checks no domain,
no limit, no suppression list and no idempotency key.
"""
