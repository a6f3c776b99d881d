"""Bech32 (BIP 173) without its limit on length: how age spells its keys."""

from __future__ import annotations

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECK_SYMBOLS = 6


def encode(prefix: str, content: bytes) -> str:
    """Return `content` under a lower-case prefix, in lower case."""
    symbols = _regroup(content, 8, 5, pad=True)
    return prefix + "1" + "".join(_ALPHABET[symbol] for symbol in symbols + _check(prefix, symbols))


def decode(text: str) -> tuple[str, bytes]:
    """Return prefix (in lower case) and content; raise ValueError for mixed case, a wrong letter or a wrong check."""
    if text not in {text.lower(), text.upper()}:
        raise ValueError("mixed case")
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix or len(rest) < _CHECK_SYMBOLS or set(rest) - set(_ALPHABET):
        raise ValueError("not Bech32")
    symbols = [_ALPHABET.index(letter) for letter in rest]
    if _polymod(_expand(prefix) + symbols) != 1:
        raise ValueError("the check does not match")
    return prefix, bytes(_regroup(symbols[:-_CHECK_SYMBOLS], 5, 8, pad=False))


def _check(prefix: str, symbols: list[int]) -> list[int]:
    found = _polymod(_expand(prefix) + symbols + [0] * _CHECK_SYMBOLS) ^ 1
    return [found >> 5 * (_CHECK_SYMBOLS - 1 - place) & 31 for place in range(_CHECK_SYMBOLS)]


def _expand(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _polymod(symbols: list[int]) -> int:
    check = 1
    for symbol in symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _regroup(groups: bytes | list[int], width: int, wanted: int, *, pad: bool) -> list[int]:
    """Return the bits of groups of one width as groups of another."""
    held = bits = 0
    found = []
    for group in groups:
        held = held << width | group
        bits += width
        while bits >= wanted:
            bits -= wanted
            found.append(held >> bits & (1 << wanted) - 1)
    rest = held & (1 << bits) - 1
    if pad:
        return [*found, rest << wanted - bits] if bits else found
    if bits >= width or rest:
        raise ValueError("bits are left over")
    return found
