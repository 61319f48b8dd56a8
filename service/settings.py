"""Everything that the environment decides."""

from functools import cache
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings, read once from environment variables of the same names in upper case."""

    model_config = SettingsConfigDict(frozen=True)

    table_name: str
    """Name of the DynamoDB table with the keys pk and sk."""
    request_seconds: float = 10
    """How long a request may take where Lambda does not say how much of its time is left."""
    scope_prefix: str = ""
    """The resource server that the scopes of tokens belong to, as "people" in Cognito's `people/users:read`; "" without one."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    source_hash: str = "unknown"
    """SHA-256 of what the image was built from; the image holds it, as the Terraform module's build argument."""
    function_name: str | None = Field(default=None, validation_alias="AWS_LAMBDA_FUNCTION_NAME")
    """Name of the Lambda function that runs, None outside of Lambda; Lambda sets it."""
    release: str = Field(default="local", validation_alias="AWS_LAMBDA_FUNCTION_VERSION")
    """Version of the Lambda function that runs; Lambda sets it."""


@cache
def settings() -> Settings:
    """Return the settings, read from the environment at the first call."""
    return Settings()
