"""Contribution bounding: which rows of a unit count.

At most `max_rows` rows of each unit are kept: those with the least order hash

    SHA-256( key | 0x1f | id | 0x1f | code_1 | 0x1f | ... | code_d | 0x1f | duplicate )     as lower-case hexadecimal

over UTF-8 text, where the codes are the row's cells in decimal, in the order of the schema (of an open column its text, cut as the engine
keeps it, and nothing where it is missing), and `duplicate` numbers the unit's equal rows
from 1. The key comes from the operating system, afresh for each run, and leaves no trace: the choice is random, yet the same for any row
order, chunking or engine. Rows whose id is missing (empty after trimming white space) are dropped.
Every row left moves each marginal by 1 in one cell, so a unit moves it by at most max_rows (L2, all rows in one cell).
"""

import hashlib
import secrets
from collections.abc import Sequence

SEPARATOR = "\x1f"


def fresh_key() -> str:
    """256 random bits from the operating system, as text."""
    return secrets.token_hex(32)


def order_hash(key: str, unit: str, codes: Sequence[int | str], duplicate: int) -> str:
    """The text by which a unit's rows are ordered; engines compute the same one."""
    message = SEPARATOR.join([key, unit, *map(str, codes), str(duplicate)])
    return hashlib.sha256(message.encode()).hexdigest()
