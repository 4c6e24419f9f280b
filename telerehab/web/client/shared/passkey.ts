/** Passkeys: WebAuthn's options and answers as JSON, in base64url, both ways. */

type Json = Record<string, unknown>;

export function canUsePasskeys(): boolean {
  return typeof PublicKeyCredential !== "undefined" && navigator.credentials !== undefined;
}

/** Make a new passkey on this device. Rejects when the person or the browser refuses. */
export async function makePasskey(options: Json): Promise<Json> {
  const publicKey = { ...options } as Json;
  publicKey.challenge = toBytes(options.challenge as string);
  const user = options.user as Json;
  publicKey.user = { ...user, id: toBytes(user.id as string) };
  publicKey.excludeCredentials = describe(options.excludeCredentials);
  const made = await navigator.credentials.create({ publicKey: publicKey as unknown as PublicKeyCredentialCreationOptions });
  const credential = made as PublicKeyCredential;
  const response = credential.response as AuthenticatorAttestationResponse;
  return answer(credential, {
    clientDataJSON: toText(response.clientDataJSON),
    attestationObject: toText(response.attestationObject),
    transports: response.getTransports?.() ?? [],
  });
}

/** Answer a challenge with a passkey of this device. Rejects when the person or the browser refuses. */
export async function usePasskey(options: Json): Promise<Json> {
  const publicKey = { ...options } as Json;
  publicKey.challenge = toBytes(options.challenge as string);
  publicKey.allowCredentials = describe(options.allowCredentials);
  const given = await navigator.credentials.get({ publicKey: publicKey as unknown as PublicKeyCredentialRequestOptions });
  const credential = given as PublicKeyCredential;
  const response = credential.response as AuthenticatorAssertionResponse;
  return answer(credential, {
    clientDataJSON: toText(response.clientDataJSON),
    authenticatorData: toText(response.authenticatorData),
    signature: toText(response.signature),
    userHandle: response.userHandle ? toText(response.userHandle) : null,
  });
}

function describe(list: unknown): unknown[] {
  return ((list as Json[] | undefined) ?? []).map((each) => ({ ...each, id: toBytes(each.id as string) }));
}

function answer(credential: PublicKeyCredential, response: Json): Json {
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  };
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=");
  return Uint8Array.from(atob(padded), (character) => character.charCodeAt(0));
}

export function toText(buffer: ArrayBuffer): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
