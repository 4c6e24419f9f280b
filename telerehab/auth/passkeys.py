"""Passkeys (WebAuthn): what a browser is asked, and whether its answer proves that the right device answered.

Pure besides the library: challenges and keys come in and go out as values, rows are the callers' business. A passkey
belongs to the host name under which it was made. The person has to have been verified on the device (finger, face or
PIN), so that a passkey alone is two factors.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from telerehab.errors import LoginFailedError

RELYING_PARTY_NAME: Final = "telerehab"
CHALLENGE_LIFETIME: Final = timedelta(minutes=5)
CREDENTIAL_ID_MAX_BYTES: Final = 1_023
"""As the standard bounds it."""
_TIMEOUT_MS: Final = 120_000
_FAULTS: Final = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What the library raises on an answer that is none; some of it is not its own."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Site:
    """Where a browser sees us."""

    host_name: str
    """Without port: what a passkey belongs to."""
    origin: str
    """`https://clinic.example:8443`."""


@dataclass(kw_only=True, frozen=True, slots=True)
class NewPasskey:
    """A passkey that was made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclass(kw_only=True, frozen=True, slots=True)
class Question:
    """What a browser is asked: the challenge to keep, and the options to send."""

    challenge: bytes
    options: dict[str, Any]


def ask_for_new(site: Site, *, holder_id: UUID, name: str, display_name: str, known: list[bytes]) -> Question:
    """Return what makes a browser make a passkey for a holder; devices with one of the `known` refuse."""
    options = generate_registration_options(
        rp_id=site.host_name,
        rp_name=RELYING_PARTY_NAME,
        user_id=holder_id.bytes,
        user_name=name,
        user_display_name=display_name,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=credential_id) for credential_id in known],
    )
    return Question(challenge=options.challenge, options=json.loads(options_to_json(options)))


def check_new(credential: dict[str, Any], *, site: Site, challenge: bytes) -> NewPasskey:
    """Return the passkey that a browser made.

    Raises
    ------
    LoginFailedError
        The answer does not fit the challenge, the site or the standard.
    """
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host_name,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except _FAULTS as error:
        raise LoginFailedError("the passkey cannot be used") from error
    if len(made.credential_id) > CREDENTIAL_ID_MAX_BYTES:
        raise LoginFailedError("the passkey cannot be used")
    return NewPasskey(
        credential_id=made.credential_id, public_key=made.credential_public_key, sign_count=made.sign_count
    )


def ask_for_any(site: Site) -> Question:
    """Return what makes a browser offer the passkeys that it has for us; nobody is named."""
    options = generate_authentication_options(
        rp_id=site.host_name, timeout=_TIMEOUT_MS, user_verification=UserVerificationRequirement.REQUIRED
    )
    return Question(challenge=options.challenge, options=json.loads(options_to_json(options)))


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Return which passkey a browser says it answered with.

    Raises
    ------
    LoginFailedError
        It says none.
    """
    try:
        return base64url_to_bytes(parse_authentication_credential_json(credential).id)
    except _FAULTS as error:
        raise LoginFailedError("the passkey is not known") from error


def check_answer(
    credential: dict[str, Any], *, site: Site, challenge: bytes, public_key: bytes, sign_count: int
) -> int:
    """Return the passkey's new count of signatures.

    Raises
    ------
    LoginFailedError
        Another key signed, or for another challenge or site; or the count went back, as of a copied key.
    """
    try:
        checked = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host_name,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except _FAULTS as error:
        raise LoginFailedError("the passkey is not known") from error
    return checked.new_sign_count
