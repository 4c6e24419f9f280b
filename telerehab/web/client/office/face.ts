import { signal } from "@preact/signals";
import { api, ApiError, type Me } from "../shared/api";
import { startLanguage } from "../shared/i18n";

export const VIEWS = ["patients", "import", "staff", "teams", "duties", "devices", "organisation", "reviews", "log", "me"] as const;
export type View = (typeof VIEWS)[number];
export type OfficeRole = "team_manager" | "admin" | "auditor";

/** Who works with what: a manager says who treats whom, an administrator who works here, an auditor reads the log. */
const VIEWS_OF: Record<OfficeRole, readonly View[]> = {
  team_manager: ["patients", "import", "teams", "duties", "devices", "me"],
  admin: ["staff", "teams", "organisation", "devices", "me"],
  auditor: ["reviews", "log", "me"],
};

export function viewsOf(role: string): readonly View[] {
  return VIEWS_OF[role as OfficeRole] ?? ["me"];
}

/** What the office page knows; each view reads its own rows. */
export class OfficeFace {
  readonly me = signal<Me | null>(null);
  readonly loggedIn = signal(true);
  readonly error = signal<unknown>(null);
  readonly view = signal<View | null>(null);

  start(): void {
    addEventListener("hashchange", () => this.follow());
    void this.look();
  }

  async look(): Promise<void> {
    try {
      const me = await api.me();
      startLanguage(me.language);
      this.me.value = me;
      this.error.value = null;
      this.follow();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.loggedIn.value = false;
      else this.error.value = error;
    }
  }

  async logOut(): Promise<void> {
    await api.logOut().catch(() => null);
    location.assign("/enter");
  }

  /** Show what the address names, if this role has it; else the first of its views. */
  private follow(): void {
    const views = viewsOf(this.me.peek()?.role ?? "");
    const named = location.hash.replace(/^#\//, "") as View;
    this.view.value = views.includes(named) ? named : (views[0] ?? "me");
  }
}
