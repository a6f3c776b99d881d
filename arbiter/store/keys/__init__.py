"""The installation's secret keys: files under `<data>/keys`, encrypted under a passphrase unless somebody chose not to.

`folder` says which files there are, `lock` how they are encrypted, `log_keys` how a signing key is written, `keyring` what
the rest of the house sees of them.
"""

from arbiter.store.keys.asking import ask_new_passphrase, passphrase_from
from arbiter.store.keys.folder import KeyFolder, init_keys, log_file, new_secret, read_keys, restore_keys
from arbiter.store.keys.hardware import HardwareSigner, make_hardware_key
from arbiter.store.keys.keyring import Keyring, generation_of, kek_number, newest_kek
from arbiter.store.keys.lock import Passphrase
from arbiter.store.keys.log_keys import KEY_BYTES, LogKeyPair, check_origin, new_pair_text, new_second

__all__ = [
    "KEY_BYTES",
    "HardwareSigner",
    "KeyFolder",
    "Keyring",
    "LogKeyPair",
    "Passphrase",
    "ask_new_passphrase",
    "check_origin",
    "generation_of",
    "init_keys",
    "kek_number",
    "log_file",
    "make_hardware_key",
    "new_pair_text",
    "new_second",
    "new_secret",
    "newest_kek",
    "passphrase_from",
    "read_keys",
    "restore_keys",
]
