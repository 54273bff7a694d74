"""`python -m s3fs_local` is `s3fs-local`."""

from s3fs_local.cli.main import main

main()
