"""What the program of the simulated homes needs to know, as text in a file that only its owner may read."""

import json
from dataclasses import asdict, dataclass
from uuid import UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """One simulated home."""

    name: str
    host: str
    token: str
    pose_file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HomesPlan:
    """What the homes need to know."""

    address: str
    port: int
    authority: str | None
    live_session: UUID
    media_address: str
    homes: tuple[Home, ...]

    def to_json(self) -> str:
        """Return the plan as text."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "HomesPlan":
        """Read a plan. Raises ValueError, TypeError or KeyError on another text."""
        fields = json.loads(text)
        fields["homes"] = tuple(Home(**home) for home in fields["homes"])
        fields["live_session"] = UUID(fields["live_session"])
        return cls(**fields)
