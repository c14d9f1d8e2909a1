"""`edge-sdk keys`: make, show and use the owner's signing keys."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_sdk.cli import options, screen

app = typer.Typer(no_args_is_help=True, help="The owner's signing keys: they decide what devices install.")


@app.command(epilog="Example: edge-sdk keys init --keys ~/edge-keys --encrypt")
def init(
    keys: options.Keys = options.KEYS_FOLDER,
    algorithm: Annotated[str, typer.Option(help="ed25519, ecdsa or rsa.")] = "ed25519",
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Ask for a passphrase (or EDGE_SDK_PASSPHRASE).")] = False,
    as_json: options.Json = False,
) -> None:
    """Make a root key and a publisher (targets) key in a new folder."""
    from edge_sdk.keys import algorithm_named, make_keys

    kind = algorithm_named(algorithm)
    secret = options.passphrase("Passphrase for the new keys", confirm=True) if encrypt else None
    _show(make_keys(keys, kind, secret), as_json)
    screen.say(f"Keep a backup of {keys} offline. Next: edge-sdk keys trust --keys {keys}")


@app.command(epilog="Example: edge-sdk keys trust --keys ~/edge-keys --server http://127.0.0.1:8080")
def trust(
    keys: options.Keys = options.KEYS_FOLDER,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Sign root metadata that names this server's online keys, and hand it over. Again after its keys were replaced."""
    from edge_sdk.keys import open_keys
    from edge_sdk.trusting import trust_server

    folder = open_keys(keys)
    with options.open_client(server, token) as client:
        trusted = trust_server(folder, client, options.unlock())
    if as_json:
        screen.show_json(trusted)
        return
    did = "Signed and handed over" if trusted.changed else "Nothing to do: the server was trusted before with"
    print(f"{did} root version {trusted.root_version}, targets version {trusted.targets_version}.")
    print(f"Director {trusted.director}")
    screen.say(f"Next: edge-sdk publish BUNDLE --keys {keys}")


@app.command(epilog="Example: edge-sdk keys director --keys ~/edge-keys")
def director(
    keys: options.Keys = options.KEYS_FOLDER,
    server: options.Server = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Publish the server's present director key, after it was replaced. The same as `trust`."""
    trust(keys, server, token, as_json)


@app.command(epilog="Example: edge-sdk keys show --keys ~/edge-keys")
def show(keys: options.Keys = options.KEYS_FOLDER, as_json: options.Json = False) -> None:
    """Key ids, and the version and expiry of the signed metadata kept here. Needs no passphrase."""
    from edge_sdk.keys import open_keys

    _show(open_keys(keys), as_json)


def _show(folder: object, as_json: bool) -> None:
    from edge_sdk.keys import KeyFolder, describe

    assert isinstance(folder, KeyFolder)
    found = describe(folder)
    if as_json:
        screen.show_json(found)
        return
    rows = [("folder", str(folder.path)), ("encrypted", "yes" if found.encrypted else "no")]
    rows += [(f"{key.role} key", f"{key.keyid} ({key.scheme})") for key in found.keys]
    for name, signed in (("root.json", found.root), ("targets.json", found.targets)):
        told = f"version {signed.version}, expires {signed.expires:%Y-%m-%d}" if signed else "not signed yet"
        rows.append((name, told))
    screen.show_table("Signing keys", ("", ""), rows, "")
