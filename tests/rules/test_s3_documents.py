"""S3's documents are read as S3 reads them: both forms, nothing ignored, nothing dangerous."""

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct, UnsetType, field

from s3fs_local.errors import InvalidSetting
from s3fs_local.rules.s3_documents import in_xml, read_document, write_json, write_xml

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Tag(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """A tag."""

    key: str
    value: str


class Filter(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """May be empty."""

    prefix: str | UnsetType = UNSET
    tags: Annotated[list[Tag], in_xml("Tag")] | UnsetType = UNSET


class Rule(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """A rule of some document."""

    status: Literal["Enabled", "Disabled"]
    rule_id: str | UnsetType = field(name="ID", default=UNSET)
    days: int | UnsetType = UNSET
    marker: bool | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET


class Configuration(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """The document."""

    rules: Annotated[list[Rule], in_xml("Rule")]
    header: Annotated[str, in_xml(None)] | UnsetType = UNSET


def _read(text: str) -> Configuration:
    return read_document(text.encode(), Configuration, roots=["Configuration", "OldConfiguration"])


def test_the_same_document_can_be_given_as_json_and_as_xml() -> None:
    """What `aws s3api` takes and what goes over the wire are one thing in two forms."""
    json = (
        '{"Rules": [{"ID": "a", "Status": "Enabled", "Days": 3, "Marker": true,'
        ' "Filter": {"Prefix": "p/", "Tags": [{"Key": "k", "Value": "v"},'
        ' {"Key": "l", "Value": "<&>"}]}}, {"Status": "Disabled", "Filter": {}}]}'
    )
    xml = f"""<?xml version="1.0" encoding="UTF-8"?>
        <Configuration xmlns="{NAMESPACE}">
          <Rule>
            <Filter><Tag><Value>v</Value><Key>k</Key></Tag><Prefix>p/</Prefix>
                    <Tag><Key>l</Key><Value>&lt;&amp;&gt;</Value></Tag></Filter>
            <Days>3</Days><Marker>1</Marker><Status>Enabled</Status><ID>a</ID>
          </Rule>
          <Rule><Status>Disabled</Status><Filter/></Rule>
        </Configuration>"""
    bare = xml.replace(f' xmlns="{NAMESPACE}"', "").replace("Configuration", "OldConfiguration")

    assert _read(json) == _read(xml) == _read(bare) == _read("\ufeff " + json)
    assert _read(write_json(_read(json)).decode()) == _read(json)
    assert _read(write_xml(_read(json), root="Configuration").decode()) == _read(json)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"Rules": [], "Extra": 1}',
        '{"Rules": [{"Status": "enabled"}]}',
        '{"Rules": [{"Status": "Enabled", "Days": "3"}]}',
        '{"Rules": [{"Status": "Enabled", "Filter": {"And": {}}}]}',
        "<Configuration><Rule><Status>Enabled</Status><Extra/></Rule></Configuration>",
        "<Configuration><Rules><Status>Enabled</Status></Rules></Configuration>",
        "<Configuration><Rule><Status>Enabled</Status><Status>Enabled</Status></Rule></Configuration>",
        "<Configuration><Rule>x<Status>Enabled</Status></Rule></Configuration>",
        "<Configuration><Rule><Status><a/></Status></Rule></Configuration>",
        "<Configuration><Rule><Status>Enabled</Status><Days>three</Days></Rule></Configuration>",
        "<Configuration><Rule><Status>Enabled</Status><Days>3.0</Days></Rule></Configuration>",
        "<Configuration><Rule><Status>Enabled</Status><Marker>yes</Marker></Rule></Configuration>",
        "<Configuration><Rule a='1'><Status>Enabled</Status></Rule></Configuration>",
        "<Configuration><Rule/><Header>x</Header></Configuration>",
        "<Configuration xmlns='urn:other'><Rule><Status>Enabled</Status></Rule></Configuration>",
        "<Another/>",
        "<Configuration>",
        "<Configuration/><Configuration/>",
        "<" * 100_000,
        "<a>" * 100_000,
    ],
)
def test_what_is_not_exactly_such_a_document_is_refused(text: str) -> None:
    """A rule with a misspelt member would do something else than its author meant."""
    with pytest.raises(InvalidSetting, match=r"^MalformedXML: "):
        _read(text)


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://example.com/x.dtd">',
        "<!DOCTYPE x>",
    ],
)
def test_a_document_type_is_refused(prologue: str) -> None:
    """Entities grow without bound, or bring in files of the machine that reads them."""
    text = f"{prologue}<Configuration><Rule><Status>&b;&a;</Status></Rule></Configuration>"

    with pytest.raises(InvalidSetting, match="DTD"):
        _read(text)
    with pytest.raises(InvalidSetting, match="MalformedXML"):
        _read("<Configuration><Rule><Status>&undeclared;</Status></Rule></Configuration>")


def test_a_document_beyond_all_sense_is_not_even_parsed() -> None:
    """It comes from whoever may speak to the daemon."""
    with pytest.raises(InvalidSetting, match="bytes"):
        _read(" " * ((2 << 20) + 1))


_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(
    st.lists(
        st.builds(
            Rule,
            status=st.sampled_from(["Enabled", "Disabled"]),
            rule_id=_TEXT,
            days=st.integers(-(2**62), 2**62),
            marker=st.booleans(),
            filter=st.builds(
                Filter,
                prefix=_TEXT,
                tags=st.lists(st.builds(Tag, key=_TEXT, value=_TEXT), min_size=1, max_size=3),
            ),
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read_again_the_same(rules: list[Rule]) -> None:
    """Whatever characters people put into names and prefixes."""
    document = Configuration(rules)

    assert _read(write_json(document).decode()) == document
    assert _read(write_xml(document, root="Configuration").decode()) == document
