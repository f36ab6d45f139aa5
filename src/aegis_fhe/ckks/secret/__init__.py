"""Everything that touches a secret key. Only the client (and tests) may import it."""

from aegis_fhe.ckks.secret.decrypt import decrypt
from aegis_fhe.ckks.secret.encapsulate import encapsulation_keys
from aegis_fhe.ckks.secret.encrypt import encrypt
from aegis_fhe.ckks.secret.keygen import SecretKey, evaluation_keys, generate_key

__all__ = ["SecretKey", "decrypt", "encapsulation_keys", "encrypt", "evaluation_keys", "generate_key"]
