"""Client and worker: files between them, and the jobs that one gives the other.

`client` holds the secret key and is never imported by a worker; everything else here is free of it.
"""
