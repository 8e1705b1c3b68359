"""Who sent a mail, as far as the DNS can tell: SPF (RFC 7208), DKIM (RFC 6376, 8463), DMARC (RFC 9989)."""
