from tests.telerehab.db.postgres import postgres_server

__all__ = ["postgres_server"]
