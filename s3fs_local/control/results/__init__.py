r"""What comes of commands, as `--json` prints it.

Where S3 has the thing, members have S3's names (`aws s3api` prints the same); the others follow
their manner. `Key` is a path below the store's root; bytes of it that are no UTF-8 stand as `\xNN`.
Members that do not apply are left out. Instants are RFC 3339 in UTC.
"""
