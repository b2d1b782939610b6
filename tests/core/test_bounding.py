"""The order by which rows of a unit are kept: fixed for a key, fresh for each run, blind to other units."""

import hashlib

from dpsynth.core.bounding import fresh_key, order_hash


def kept(key, rows, max_rows):
    """What any engine has to keep: per unit, the rows with the least hashes (reference implementation)."""
    seen, hashed = {}, []
    for unit, codes in rows:
        seen[unit, codes] = seen.get((unit, codes), 0) + 1
        hashed.append((unit, order_hash(key, unit, codes, seen[unit, codes]), codes))
    return sorted(
        (unit, codes) for unit in {u for u, _ in rows} for _, _, codes in sorted(row for row in hashed if row[0] == unit)[:max_rows]
    )


ROWS = [("u", (0, 1)), ("u", (0, 1)), ("u", (1, 1)), ("v", (0, 0)), ("u", (2, 0)), ("w", (1, 0)), ("v", (1, 1))]


def test_the_hash_is_the_documented_one():
    message = b"key\x1fanna\x1f3\x1f0\x1f2"
    assert order_hash("key", "anna", (3, 0), 2) == hashlib.sha256(message).hexdigest()


def test_keys_are_fresh_and_256_bits_long():
    keys = {fresh_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)


def test_the_rows_kept_do_not_depend_on_row_order():
    for key in ("k1", "k2", "k3"):
        assert kept(key, ROWS, 2) == kept(key, ROWS[::-1], 2) == kept(key, sorted(ROWS), 2)


def test_a_units_rows_change_nothing_about_what_others_keep():
    for key in ("k1", "k2", "k3"):
        for gone in ("u", "v", "w"):
            others = [row for row in ROWS if row[0] != gone]
            assert kept(key, others, 2) == [row for row in kept(key, ROWS, 2) if row[0] != gone]


def test_equal_rows_of_a_unit_are_told_apart():
    assert order_hash("k", "u", (1,), 1) != order_hash("k", "u", (1,), 2)
    assert kept("k", [("u", (1,))] * 5, 3) == [("u", (1,))] * 3


def test_which_rows_are_kept_depends_on_the_key():
    rows = [("u", (cell,)) for cell in range(10)]
    assert len({tuple(kept(f"key {i}", rows, 2)) for i in range(50)}) > 20
