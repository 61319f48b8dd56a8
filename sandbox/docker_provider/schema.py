"""The schema of kreuzwerker/docker 4.5.0, as far as the stand-in implements it, and its defaults."""

from typing import Any

from tf.gen import tfplugin_pb2 as pb
from tf.schema import Attribute, Block, Schema
from tf.types import Bool, List, Map, Number, String, TfType, Unknown

Value = list[dict[str, Any]] | dict[str, Any] | None
_Nesting = pb.Schema.NestedBlock.NestingMode


class Nested:
    """A nested block with any nesting mode; `tf` itself supports only sets. Values are as Terraform sends them."""

    def __init__(self, type_name: str, nesting: str, block: Block, max_items: int = 0) -> None:
        self.type_name = type_name
        self.block = block
        self._nesting = _Nesting.Value(nesting)
        self._max_items = max_items

    def to_pb(self) -> pb.Schema.NestedBlock:
        """Return the protocol's message for this block."""
        return pb.Schema.NestedBlock(
            type_name=self.type_name,
            block=self.block.to_pb(),
            nesting=self._nesting,
            max_items=self._max_items,
        )

    def encode(self, value: Value) -> Value:
        """Return the value unchanged."""
        return value

    def decode(self, value: Value) -> Value:
        """Return the value unchanged."""
        return value

    def semantically_equal(self, one: Value, other: Value) -> bool:
        return bool(one == other)


def _optional(kind: TfType, names: str) -> list[Attribute]:
    return [Attribute(name, kind, optional=True) for name in names.split()]


def _required(kind: TfType, names: str) -> list[Attribute]:
    return [Attribute(name, kind, required=True) for name in names.split()]


def _secret(name: str) -> Attribute:
    return Attribute(name, String(), optional=True, sensitive=True)


_NAME = Attribute("name", String(), required=True, requires_replace=True)
_COMPUTED = [
    Attribute("id", String(), optional=True, computed=True),
    Attribute("sha256_digest", String(), computed=True),
]

PROVIDER = Schema(
    version=0,
    attributes=[
        *_optional(String(), "host context ca_material cert_material key_material cert_path"),
        *_optional(List(String()), "ssh_opts"),
        *_optional(Bool(), "disable_docker_daemon_check"),
    ],
    block_types=[
        Nested(
            "registry_auth",
            "SET",
            Block(
                attributes=[
                    *_required(String(), "address"),
                    *_optional(String(), "username config_file config_file_content"),
                    _secret("password"),
                    *_optional(Bool(), "auth_disabled"),
                ]
            ),
        )
    ],
)

_BUILD_STRINGS = (
    "dockerfile target platform version builder build_id build_log_file network_mode isolation cpu_set_cpus "
    "cpu_set_mems cgroup_parent remote_context session_id provenance sbom"
)
_BUILD_LISTS = "additional_contexts cache_from cache_to security_opt extra_hosts tag"

_BUILD = Block(
    attributes=[
        *_required(String(), "context"),
        *_optional(String(), _BUILD_STRINGS),
        *_optional(List(String()), _BUILD_LISTS),
        *_optional(Map(String()), "build_args label labels"),
        *_optional(Bool(), "suppress_output no_cache force_remove pull_parent squash use_legacy_builder remove"),
        *_optional(Number(), "cpu_shares cpu_quota cpu_period memory memory_swap shm_size"),
    ],
    block_types=[
        Nested("secrets", "LIST", Block(attributes=[*_required(String(), "id"), *_optional(String(), "src env")])),
        Nested(
            "ulimit",
            "LIST",
            Block(attributes=[*_required(String(), "name"), *_required(Number(), "hard soft")]),
        ),
        Nested(
            "auth_config",
            "LIST",
            Block(
                attributes=[
                    *_required(String(), "host_name"),
                    *_optional(String(), "user_name password auth email server_address identity_token registry_token"),
                ]
            ),
        ),
    ],
)

RESOURCE = Schema(
    version=0,
    attributes=[
        _NAME,
        Attribute("triggers", Map(String()), optional=True, requires_replace=True),
        *_optional(Bool(), "keep_remotely insecure_skip_verify"),
        *_COMPUTED,
    ],
    block_types=[
        Nested(
            "auth_config",
            "LIST",
            Block(
                attributes=[
                    *_required(String(), "address"),
                    *_optional(String(), "username"),
                    _secret("password"),
                ]
            ),
            max_items=1,
        ),
        Nested("build", "SET", _BUILD, max_items=1),
        Nested("timeouts", "SINGLE", Block(attributes=_optional(String(), "create update delete"))),
    ],
)

DATA_SOURCE = Schema(
    version=0,
    attributes=[_NAME, *_optional(Bool(), "insecure_skip_verify"), *_COMPUTED],
)


def is_unknown(value: object) -> bool:
    """Whether a value is unknown until apply."""
    # A tuple is msgpack's ExtType, an unknown value with refinements, which `tf` does not decode.
    return value is Unknown or isinstance(value, tuple)


def with_defaults(resource: dict[str, Any]) -> dict[str, Any]:
    """Add the values that the real provider has in plans and state for missing arguments.

    These are its defaults, and inside `build` empty strings and lists.
    """
    filled = dict(resource)
    for name in ("keep_remotely", "insecure_skip_verify"):
        if filled.get(name) is None:
            filled[name] = False
    if isinstance(filled.get("build"), list):
        filled["build"] = [build if build is Unknown else _build_with_defaults(build) for build in filled["build"]]
    return filled


def _build_with_defaults(build: dict[str, Any]) -> dict[str, Any]:
    blanks: dict[str, Any] = {
        **dict.fromkeys(_BUILD_STRINGS.split(), ""),
        **{name: [] for name in _BUILD_LISTS.split()},
        "dockerfile": "Dockerfile",
        "remove": True,
    }
    filled = {**build, **{name: blank for name, blank in blanks.items() if build.get(name) is None}}
    if isinstance(filled.get("secrets"), list):
        filled["secrets"] = [
            {**secret, **{name: secret[name] if secret[name] is not None else "" for name in ("src", "env")}}
            for secret in filled["secrets"]
        ]
    return filled
