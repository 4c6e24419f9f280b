import { call } from "../shared/api";

export type Next = "done" | "second_factor" | "set_up_second_factor";
export type Method = "totp" | "passkey";

export interface Entered {
  next: Next;
  /** What there is to give as a second factor; while setting up: what can be set up. */
  methods?: Method[];
  /** The account has no password yet: a code alone would be no second factor. */
  needs_password?: boolean;
}

export interface Challenge {
  challenge_id: string;
  options: Record<string, unknown>;
}

export interface TotpSecret {
  secret: string;
  address: string;
  qr_svg: string;
}

export interface Invitation {
  organisation: string;
  patient_name: string | null;
}

/** The ways in; every one may ask for another step. */
export const enterApi = {
  logIn: (email: string, password: string) => call<Entered>("POST", "/api/login", { email, password }),
  giveCode: (code: string) => call<Entered>("POST", "/api/login/totp", { code }),
  passkeyOptions: () => call<Challenge>("POST", "/api/login/passkey/options", {}),
  givePasskey: (challengeId: string, credential: unknown) =>
    call<Entered>("POST", "/api/login/passkey", { challenge_id: challengeId, credential }),
  enter: (token: string) => call<Entered>("POST", "/api/enter", { token }),
  /** Where this browser stands: in the middle of logging in, or in. */
  me: () => call<Entered>("GET", "/api/login"),
  pairTablet: (code: string) => call<unknown>("POST", "/api/tablet-pairing", { code }),
  newTotp: () => call<TotpSecret>("POST", "/api/my/totp", {}),
  confirmTotp: (code: string) => call<unknown>("POST", "/api/my/totp/confirm", { code }),
  newPasskeyOptions: () => call<Challenge>("POST", "/api/my/passkeys/options", {}),
  addPasskey: (challengeId: string, credential: unknown) =>
    call<unknown>("POST", "/api/my/passkeys", { challenge_id: challengeId, credential }),
  setPassword: (password: string) => call<unknown>("PUT", "/api/my/password", { old: null, new: password }),
  lookAtInvitation: (token: string) => call<Invitation>("POST", "/api/invitations/look", { token }),
  invitationOptions: (token: string) => call<Challenge>("POST", "/api/invitations/passkey-options", { token }),
  acceptInvitation: (token: string, challengeId: string, credential: unknown) =>
    call<unknown>("POST", "/api/invitations/accept", { token, challenge_id: challengeId, credential }),
};
