"""Enrolment tickets: the server's offer and the owner's root, in one private file."""

from __future__ import annotations

from pathlib import Path

from edge_contracts.api import EnrolmentTicket
from edge_contracts.operations import NewEnrolmentToken
from edge_sdk.client import FleetClient
from edge_sdk.errors import BadInput
from edge_sdk.files import write_private
from edge_sdk.keys import KeyFolder


def make_ticket(client: FleetClient, keys: KeyFolder, wish: NewEnrolmentToken, out: Path) -> EnrolmentTicket:
    """Ask for a token and write the ticket; the root comes from the owner's folder, never from the server.

    Raises:
        BadInput: no server has been trusted with these keys, or the file cannot be written.
        Untrusted: the owner's root was changed.
        Rejected, Unreachable: from the server.
    """
    keys.root()
    root = keys.root_bytes()
    assert root is not None
    if not out.parent.is_dir():
        raise BadInput(f"there is no folder {out.parent}", "Choose another --out.")
    offer = client.make_enrolment_token(wish)
    ticket = EnrolmentTicket(
        server=offer.server,
        tenant=offer.tenant,
        token=offer.token,
        ca=offer.ca,
        root=root.decode(),
        expires=offer.expires,
    )
    write_private(out, ticket.model_dump_json(indent=1).encode())
    return ticket
