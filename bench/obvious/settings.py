"""Where the engines are."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """OBVIOUS_KAFKA and OBVIOUS_DATABASE."""

    model_config = SettingsConfigDict(env_prefix="OBVIOUS_")

    kafka: str
    database: str
