"""Raw RSA-2048 signing on one core: the bound of every figure about signed mail. `python -m bench.signing`."""

import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.table import Figure, render

SIGNATURES = 1_000


def micros() -> float:
    """CPU microseconds of one signature."""
    key = rsa.generate_private_key(65537, 2048)
    key.sign(b"warm", padding.PKCS1v15(), hashes.SHA256())
    started = time.process_time()
    for _ in range(SIGNATURES):
        key.sign(b"x" * 200, padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - started) / SIGNATURES * 1e6


def main() -> list[Figure]:
    cost = micros()
    return [Figure("signing", "raw RSA-2048, one core", f"{1e6 / cost:,.0f}/s, {cost:,.0f} us each")]


if __name__ == "__main__":
    print(render(main()))
