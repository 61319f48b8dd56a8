"""Settings from environment variables."""

from functools import cache
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.kit import cors


class Settings(BaseSettings):
    """The service's settings. Each has the name of its environment variable, in lower case."""

    model_config = SettingsConfigDict(frozen=True)

    table_name: str
    """Name of the DynamoDB table, whose keys are pk and sk (strings)."""
    request_seconds: float = 10
    """The time that a request may take outside of Lambda, in seconds."""
    root_path: str = Field(default="", pattern=r"^(/[^/?#\s]+)*$")
    """Path of the API below its custom domain, such as /people; "" for the domain's root. API Gateway removes it from requests."""
    scope_prefix: str = ""
    """The resource server that prefixes scopes, such as "people" in Cognito's `people/users:read`; "" for none."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose scripts may read responses, such as https://app.example.com, separated by spaces; "*" is every origin.
    Leave it empty where API Gateway answers browsers (`api.cors` of the Terraform module)."""
    cors_credentials: bool = False
    """Whether browsers may send cookies and HTTP authentication with these requests. A token in a header does not need it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    source_hash: str = "unknown"
    """SHA-256 of the image's sources. The Terraform module passes it as a build argument, and the image sets it."""
    function_name: str | None = Field(default=None, validation_alias="AWS_LAMBDA_FUNCTION_NAME")
    """Name of the Lambda function, set by Lambda; None outside of Lambda."""
    release: str = Field(default="local", validation_alias="AWS_LAMBDA_FUNCTION_VERSION")
    """Version of the Lambda function, set by Lambda."""

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_origins(self) -> Self:
        cors.check_origins(self.cors_origins, credentials=self.cors_credentials)
        return self


@cache
def settings() -> Settings:
    """Return the settings, read from the environment at the first call."""
    return Settings()
