"""S3's states of versioning: which leads to which, and the document that asks for one."""

from typing import Final

import pytest

from s3fs_local import errors
from s3fs_local.rules.versioning import VersioningState, check_state_change, parse_versioning

UNVERSIONED: Final = VersioningState.UNVERSIONED
ENABLED: Final = VersioningState.ENABLED
SUSPENDED: Final = VersioningState.SUSPENDED


@pytest.mark.parametrize("old", VersioningState)
@pytest.mark.parametrize("new", VersioningState)
def test_versioned_store_never_becomes_unversioned_again(
    old: VersioningState, new: VersioningState
) -> None:
    """Versions with ids have no place in an unversioned store."""
    if new is UNVERSIONED and old is not UNVERSIONED:
        with pytest.raises(errors.InvalidSetting, match="IllegalVersioningConfiguration"):
            check_state_change(old, new, object_lock_enabled=False)
    else:
        check_state_change(old, new, object_lock_enabled=False)


@pytest.mark.parametrize("new", [SUSPENDED, UNVERSIONED])
def test_object_lock_keeps_versioning_enabled(new: VersioningState) -> None:
    """In a suspended store a put destroys the null version, locked or not."""
    check_state_change(ENABLED, ENABLED, object_lock_enabled=True)

    with pytest.raises(errors.VersioningRequired, match="InvalidBucketState"):
        check_state_change(ENABLED, new, object_lock_enabled=True)


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (b'{"Status": "Enabled"}', ENABLED),
        (b'{"Status": "Suspended"}', SUSPENDED),
        (b'{"MFADelete": "Disabled", "Status": "Enabled"}', ENABLED),
        (b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", ENABLED),
        (
            (
                b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                b"<MfaDelete>Disabled</MfaDelete><Status>Suspended</Status>"
                b"</VersioningConfiguration>"
            ),
            SUSPENDED,
        ),
    ],
)
def test_document_of_aws_s3api_is_read(document: bytes, state: VersioningState) -> None:
    """`bucket versioning put` takes the file that people already have."""
    assert parse_versioning(document) is state


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b'{"Status": "enabled"}', "MalformedXML"),
        (b'{"Status": "Disabled"}', "MalformedXML"),
        (b'{"Status": ""}', "MalformedXML"),
        (b'{"Status": null}', "MalformedXML"),
        (b'{"Status": "Enabled", "MfaDelete": "Disabled"}', "MalformedXML"),
        (b'{"Status": "Enabled", "MFADelete": "no"}', "MalformedXML"),
        (b'{"status": "Enabled"}', "MalformedXML"),
        (b'{"Status": "\xff"}', "MalformedXML"),
        (b'{"Status": ' + b"[" * 100_000, "MalformedXML"),
        (b"[]", "MalformedXML"),
        (b"Enabled", "MalformedXML"),
        (b"<VersioningConfiguration><Status>on</Status></VersioningConfiguration>", "MalformedXML"),
        (b"<VersioningConfiguration><MFADelete/></VersioningConfiguration>", "MalformedXML"),
        (b"<Versioning><Status>Enabled</Status></Versioning>", "MalformedXML"),
        (b"<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),
        (b"", "MalformedXML"),
        (b"{}", "IllegalVersioningConfigurationException"),
        (b'{"MFADelete": "Disabled"}', "IllegalVersioningConfigurationException"),
        (b'{"Status": "Enabled", "MFADelete": "Enabled"}', "NotImplemented"),
    ],
)
def test_other_documents_are_refused_with_the_error_code_of_s3(document: bytes, code: str) -> None:
    """What is not understood is never ignored: half a document would set half of what was meant."""
    with pytest.raises(errors.InvalidSetting, match=rf"\A{code}: "):
        parse_versioning(document)
