"""S3's configuration documents, in the JSON of `aws s3api` and in the XML of the wire.

A document is a `Struct` with `forbid_unknown_fields`, whose encoded names are the JSON members. XML
has the same names but for two things, both written as `Annotated[…, Meta(extra={"xml": NAME})]` at
the field: a list stands as one element of that name for each item (`Rules` → `Rule`), and a few
members are spelled differently (`MFADelete` → `MfaDelete`). `{"xml": None}` marks a member that
only the JSON has, because S3 sends it as a header.

The reader takes both forms, with or without S3's namespace, children in any order. Whatever it does
not know is an error, never ignored. DTDs are refused, so no entity can be declared.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, TypeVar
from xml.parsers import expat

import msgspec
from msgspec import Meta, Struct, inspect

from s3fs_local.errors import InvalidDocument

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
DOCUMENT_BYTES_MAX: Final = 2 << 20
"""S3's limit for the largest of them, the replication configuration."""

_DEPTH_MAX: Final = 16
_SEPARATOR: Final = " "  # cannot stand in a namespace or a name
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

_Document = TypeVar("_Document", bound=Struct)


def in_xml(name: str | None) -> Meta:
    """The annotation of a field that XML spells `name`, or (None) does not have."""
    return Meta(extra={"xml": name})


def refusal(code: str, message: str) -> InvalidDocument:
    """The error for a document that S3 would refuse with this code and message."""
    return InvalidDocument(f"{code}: {message}")


def malformed(message: str) -> InvalidDocument:
    """The error for what is no such document at all (S3: MalformedXML, for JSON too)."""
    return refusal("MalformedXML", message)


def read_document(data: bytes, shape: type[_Document], *, roots: Sequence[str]) -> _Document:
    """The document in `data`: XML if it begins with `<`, else JSON.

    `roots` are the names that the outermost element may have.

    Raises:
        InvalidDocument: it has another form, or something that `shape` does not know.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise malformed(f"the document is over {DOCUMENT_BYTES_MAX} bytes")
    text = data.removeprefix(_BYTE_ORDER_MARK).strip()
    try:
        if not text.startswith(b"<"):
            return msgspec.json.decode(text, type=shape)
        root = _parse(text)
        if root.name not in roots:
            raise malformed(f"the document is <{root.name}>, not <{roots[0]}>")
        return msgspec.convert(_to_builtins(root, inspect.type_info(shape)), shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(str(error)) from None


def write_json(document: Struct) -> bytes:
    """The JSON of `aws s3api`; `read_document` gives the document back."""
    return msgspec.json.format(msgspec.json.encode(document), indent=4)


def write_xml(document: Struct, *, root: str) -> bytes:
    """The XML of the wire; `read_document` gives the document back."""
    fields: Mapping[str, object] = msgspec.to_builtins(document)
    body = _fields_to_xml(fields, inspect.type_info(type(document)))
    declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{declaration}<{root} xmlns="{NAMESPACE}">{body}</{root}>\n'.encode()


class _Element(Struct):
    name: str
    children: list["_Element"]
    text: str = ""


class _Builder:
    """Makes a tree of elements out of what expat reports; refuses what S3's documents never have.

    Expat itself declares no entity without a DTD, and loads nothing from outside.
    """

    def __init__(self) -> None:
        self.root = _Element("", [])
        self._open = [self.root]

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        namespace, _, local = name.rpartition(_SEPARATOR)
        if namespace not in ("", NAMESPACE):
            raise malformed(f"<{local}> has the namespace {namespace!r}, not S3's")
        if attributes:
            raise malformed(f"<{local}> has attributes, which no such document has")
        if len(self._open) > _DEPTH_MAX:
            raise malformed(f"elements are nested deeper than {_DEPTH_MAX}")
        element = _Element(local, [])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].text += text

    def refuse_dtd(self, *_: object) -> None:
        raise malformed("the document has a DTD, which is refused")


def _parse(text: bytes) -> _Element:
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    builder = _Builder()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse_dtd
    try:
        parser.Parse(text, True)  # noqa: FBT003 - expat takes it by position only
    except expat.ExpatError as error:
        raise malformed(f"the XML is not well-formed: {error}") from None
    return builder.root.children[0]


def _to_builtins(element: _Element, shape: inspect.Type) -> object:
    """What the JSON of the element would decode to; its form is checked by the conversion after."""
    if isinstance(shape, inspect.StructType):
        return _members(element, shape)
    if element.children:
        raise malformed(f"<{element.name}> holds elements where a value belongs")
    if isinstance(shape, inspect.BoolType):
        return _BOOLEANS.get(element.text.strip(), element.text)
    if isinstance(shape, inspect.IntType):
        return _integer(element.text.strip())
    return element.text


def _integer(text: str) -> int | str:
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= 19  # as many as 64 bits
    return int(text) if is_number else text


def _members(element: _Element, shape: inspect.StructType) -> dict[str, object]:
    if element.text.strip():
        raise malformed(f"<{element.name}> holds text where elements belong")
    fields = {_xml_name(field): field for field in shape.fields}
    members: dict[str, Any] = {}
    for child in element.children:
        field = fields.get(child.name)
        if field is None:
            raise malformed(f"<{element.name}> has no element <{child.name}>")
        plain = _plain(field.type)
        if isinstance(plain, inspect.ListType):
            item = _to_builtins(child, _plain(plain.item_type))
            members.setdefault(field.encode_name, []).append(item)
        elif field.encode_name in members:
            raise malformed(f"<{element.name}> has two elements <{child.name}>")
        else:
            members[field.encode_name] = _to_builtins(child, plain)
    return members


def _fields_to_xml(members: Mapping[str, object], shape: inspect.Type) -> str:
    assert isinstance(shape, inspect.StructType)
    parts = []
    for field in shape.fields:
        name = _xml_name(field)
        if name is None or field.encode_name not in members:
            continue
        value, plain = members[field.encode_name], _plain(field.type)
        if isinstance(plain, inspect.ListType):
            assert isinstance(value, list)
            parts += [_element_to_xml(name, item, _plain(plain.item_type)) for item in value]
        else:
            parts.append(_element_to_xml(name, value, plain))
    return "".join(parts)


def _element_to_xml(name: str, value: object, shape: inspect.Type) -> str:
    if isinstance(value, dict):
        content = _fields_to_xml(value, shape)
    elif isinstance(value, bool):
        content = "true" if value else "false"
    else:
        # Not that of xml.sax, which brings a web client along: each command would start later.
        content = escape(str(value), quote=False).replace("\r", "&#13;")
    return f"<{name}>{content}</{name}>"


def _xml_name(field: inspect.Field) -> str | None:
    annotated = field.type
    if isinstance(annotated, inspect.UnionType):  # `Annotated[…] | UnsetType`
        annotated = annotated.types[0]
    extra = annotated.extra if isinstance(annotated, inspect.Metadata) else None
    if extra is None or "xml" not in extra:
        return field.encode_name
    name: str | None = extra["xml"]
    return name


def _plain(shape: inspect.Type) -> inspect.Type:
    return shape.type if isinstance(shape, inspect.Metadata) else shape
