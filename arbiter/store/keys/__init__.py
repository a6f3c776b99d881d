"""The installation's secret keys: files under `<data>/keys`, encrypted under a passphrase unless somebody chose not to.

`folder` says which files there are, `founding` makes it, `lock` how they are encrypted, `log_keys` how a signing key is
written, `keyring` what the rest of the house sees of them.
"""

from arbiter.store.keys.asking import ask_new_passphrase, passphrase_from
from arbiter.store.keys.folder import KeyFolder, log_file, read_keys
from arbiter.store.keys.founding import init_keys, restore_keys
from arbiter.store.keys.hardware import HardwareSigner
from arbiter.store.keys.hardware_kek import HardwareKek
from arbiter.store.keys.keyring import Kek, Keyring, generation_of, kek_number, newest_kek
from arbiter.store.keys.lock import Passphrase
from arbiter.store.keys.log_keys import KEY_BYTES, LogKeyPair, check_origin, new_pair_text
from arbiter.store.keys.making import AS_BEFORE, Wish, lies_at, new_kek, new_log_keys, new_secret, where_is

__all__ = [
    "AS_BEFORE",
    "KEY_BYTES",
    "HardwareKek",
    "HardwareSigner",
    "Kek",
    "KeyFolder",
    "Keyring",
    "LogKeyPair",
    "Passphrase",
    "Wish",
    "ask_new_passphrase",
    "check_origin",
    "generation_of",
    "init_keys",
    "kek_number",
    "lies_at",
    "log_file",
    "new_kek",
    "new_log_keys",
    "new_pair_text",
    "new_secret",
    "newest_kek",
    "passphrase_from",
    "read_keys",
    "restore_keys",
    "where_is",
]
