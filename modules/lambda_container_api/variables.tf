variable "api" {
  description = <<-EOT
    The HTTP API.
    - `cors`: null leaves CORS to the application; an object has the gateway answer OPTIONS itself and override the application's headers.
    - `throttle`: limits of the stage, shared by all callers: `rate_per_second` (requests, steady) and `burst` (requests at once). Above them the gateway answers 429.
  EOT
  type = object({
    cors = optional(object({
      allow_credentials = optional(bool, false)
      allow_headers     = optional(list(string), [])
      allow_methods     = optional(list(string), ["GET", "HEAD", "OPTIONS"])
      allow_origins     = list(string)
      expose_headers    = optional(list(string), [])
      max_age_seconds   = optional(number, 300)
    }))
    throttle = optional(object({
      rate_per_second = optional(number, 500)
      burst           = optional(number, 1000)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition = var.api.cors == null ? true : !(
      var.api.cors.allow_credentials && contains(concat(var.api.cors.allow_origins, var.api.cors.allow_headers, var.api.cors.allow_methods), "*")
    )
    error_message = "api.cors.allow_credentials does not go with \"*\" in allow_origins, allow_headers or allow_methods: browsers refuse such answers, and API Gateway such a configuration. List them."
  }

  validation {
    condition     = var.api.cors == null ? true : length(var.api.cors.allow_origins) > 0
    error_message = "api.cors.allow_origins must name at least one origin, or \"*\": CORS without an origin allows nobody. Leave api.cors null for none."
  }

  validation {
    condition     = alltrue([for o in try(var.api.cors.allow_origins, []) : o == "*" || can(regex("^[a-z][a-z0-9+.-]*://[^/]+$", o))])
    error_message = "api.cors.allow_origins must be \"*\" or origins such as https://app.example.com: a scheme and a host, without a path or a trailing slash, as browsers send them."
  }

  validation {
    condition     = try(var.api.cors.max_age_seconds, 0) >= -1 && try(var.api.cors.max_age_seconds, 0) <= 86400
    error_message = "api.cors.max_age_seconds must be from -1 (no caching) to 86400 (a day): API Gateway's limits."
  }

  validation {
    condition     = var.api.throttle.rate_per_second > 0 && var.api.throttle.burst >= 1 && floor(var.api.throttle.burst) == var.api.throttle.burst
    error_message = "api.throttle.rate_per_second must be above 0 and api.throttle.burst a whole number from 1: API Gateway reads null or 0 as \"refuse every request with 429\"."
  }
}

variable "auth" {
  description = <<-EOT
    Who may call the API: exactly one of
    - `jwt`: bearer tokens of an OpenID Connect `issuer` (HTTPS URL) for one of `audience`; `scopes` asks each token for at least one of them.
    - `iam = {}`: requests signed by AWS principals that hold execute-api:Invoke.
    - `lambda`: a Lambda authorizer (payload 2.0, simple responses) by `function_arn`; its answer is cached `ttl_seconds` per `identity_sources`.
    - `public`: everybody, with the `reason` why that is right, which is written into the API's description.
  EOT
  type = object({
    iam = optional(object({}))
    jwt = optional(object({
      audience = list(string)
      issuer   = string
      scopes   = optional(list(string), [])
    }))
    lambda = optional(object({
      function_arn     = string
      identity_sources = optional(list(string), ["$request.header.Authorization"])
      ttl_seconds      = optional(number, 300)
    }))
    public = optional(object({
      reason = string
    }))
  })
  nullable = false

  validation {
    condition     = length([for choice in [var.auth.iam, var.auth.jwt, var.auth.lambda, var.auth.public] : true if choice != null]) == 1
    error_message = "auth must hold exactly one of jwt, iam, lambda or public. An API is open only where somebody wrote why: auth = { public = { reason = \"…\" } }."
  }

  validation {
    condition     = var.auth.jwt == null ? true : can(regex("^https://[^/?#]+[^?#]*$", var.auth.jwt.issuer))
    error_message = "auth.jwt.issuer must be an https:// URL without query: API Gateway reads <issuer>/.well-known/openid-configuration from it."
  }

  validation {
    condition     = var.auth.jwt == null ? true : length(var.auth.jwt.audience) > 0 && alltrue([for a in var.auth.jwt.audience : a != ""])
    error_message = "auth.jwt.audience must name at least one audience, none of them empty: without one any token of the issuer would do, whomever it was made for."
  }

  validation {
    condition     = var.auth.lambda == null ? true : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$", var.auth.lambda.function_arn))
    error_message = "auth.lambda.function_arn must be the ARN of a Lambda function or of its alias: arn:aws:lambda:<region>:<account>:function:<name>[:<alias>]."
  }

  validation {
    condition     = var.auth.lambda == null ? true : var.auth.lambda.ttl_seconds >= 0 && var.auth.lambda.ttl_seconds <= 3600
    error_message = "auth.lambda.ttl_seconds must be from 0 (no caching) to 3600: API Gateway's limits."
  }

  validation {
    condition     = var.auth.lambda == null ? true : var.auth.lambda.ttl_seconds == 0 || length(var.auth.lambda.identity_sources) > 0
    error_message = "auth.lambda.identity_sources must name at least one source unless ttl_seconds is 0: a cached answer needs a key."
  }

  validation {
    condition     = var.auth.public == null ? true : length(trimspace(var.auth.public.reason)) >= 10 && length(var.auth.public.reason) <= 512
    error_message = "auth.public.reason must say in 10 to 512 characters why everybody may call this API: it is written into the API's description for the next reviewer."
  }
}

variable "function" {
  description = <<-EOT
    Size, limits and surroundings of the Lambda function.
    - `memory_mb`: 128 to 10240; CPU grows with it (1 vCPU at 1769).
    - `timeout_seconds`: 1 to 29, since API Gateway stops waiting after 30 s.
    - `architecture`: `x86_64` or `arm64`, for the image's build and for Lambda alike.
    - `ephemeral_storage_mb`: size of /tmp, 512 to 10240.
    - `reserved_concurrency`: the most requests at once. 0 stops the function, null leaves it to the account's pool.
    - `environment`: variables, 4 KB in all with the module's own (LOG_LEVEL, SOURCE_HASH). Nothing secret: values are readable in state and console.
    - `secrets`: variable name → ARN of a Secrets Manager secret or SSM parameter. The function gets the ARN and the right to read it, never the value.
    - `kms_key_arn`: key that encrypts the environment, default AWS's own.
    - `tracing`: AWS X-Ray.
    - `vpc`: subnets (1 to 16) and security groups (1 to 5), for private resources; costs a NAT gateway or endpoints for everything else.
    - `image_config`: overrides of the image's command, entry point and working directory.
  EOT
  type = object({
    architecture         = optional(string, "x86_64")
    environment          = optional(map(string), {})
    ephemeral_storage_mb = optional(number, 512)
    image_config = optional(object({
      command           = optional(list(string))
      entry_point       = optional(list(string))
      working_directory = optional(string)
    }))
    kms_key_arn          = optional(string)
    memory_mb            = optional(number, 512)
    reserved_concurrency = optional(number)
    secrets              = optional(map(string), {})
    timeout_seconds      = optional(number, 10)
    tracing              = optional(bool, false)
    vpc = optional(object({
      security_group_ids = list(string)
      subnet_ids         = list(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.function.architecture)
    error_message = "function.architecture must be x86_64 or arm64: Lambda's two architectures."
  }

  validation {
    condition     = var.function.memory_mb >= 128 && var.function.memory_mb <= 10240 && floor(var.function.memory_mb) == var.function.memory_mb
    error_message = "function.memory_mb must be a whole number from 128 to 10240: Lambda's limits."
  }

  validation {
    condition     = var.function.timeout_seconds >= 1 && var.function.timeout_seconds <= 29 && floor(var.function.timeout_seconds) == var.function.timeout_seconds
    error_message = "function.timeout_seconds must be a whole number from 1 and at most 29: API Gateway stops waiting after 30 s, so that a longer run answers nobody and is billed all the same."
  }

  validation {
    condition     = var.function.ephemeral_storage_mb >= 512 && var.function.ephemeral_storage_mb <= 10240 && floor(var.function.ephemeral_storage_mb) == var.function.ephemeral_storage_mb
    error_message = "function.ephemeral_storage_mb must be a whole number from 512 to 10240: Lambda's limits for /tmp."
  }

  validation {
    condition     = var.function.reserved_concurrency == null ? true : var.function.reserved_concurrency >= 0 && floor(var.function.reserved_concurrency) == var.function.reserved_concurrency
    error_message = "function.reserved_concurrency must be a whole number from 0 (which stops the function) or null (which takes from the account's pool). Lambda's own -1 means null: say null."
  }

  validation {
    condition     = alltrue([for k in keys(merge(var.function.environment, var.function.secrets)) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", k))])
    error_message = "function.environment and function.secrets: names must be two or more of a-z A-Z 0-9 _ and begin with a letter: Lambda's rule."
  }

  validation {
    condition = length([
      for k in keys(merge(var.function.environment, var.function.secrets)) : k
      if can(regex("^(AWS_LAMBDA_.*|AWS_(REGION|DEFAULT_REGION|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|EXECUTION_ENV)|LAMBDA_(TASK_ROOT|RUNTIME_DIR)|_HANDLER|_X_AMZN_TRACE_ID|SOURCE_HASH)$", k))
    ]) == 0
    error_message = "function.environment and function.secrets must not set AWS_REGION, AWS_LAMBDA_*, credentials or another name reserved by Lambda, nor SOURCE_HASH, which this module sets."
  }

  validation {
    condition     = length(setintersection(keys(var.function.environment), keys(var.function.secrets))) == 0
    error_message = "function.environment and function.secrets must not share a name: one of the two values would be lost."
  }

  validation {
    condition     = sum(concat([120], [for k, v in merge(var.function.environment, var.function.secrets) : length(k) + length(v)])) <= 4096
    error_message = "function.environment and function.secrets must not exceed 3976 characters in all: Lambda allows 4 KB, and this module's own variables take 120."
  }

  validation {
    condition     = alltrue([for arn in values(var.function.secrets) : can(regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:.+|ssm:[^:]+:[0-9]{12}:parameter/.+)$", arn))])
    error_message = "function.secrets must map names to ARNs of Secrets Manager secrets or SSM parameters: the value itself would be readable in state."
  }

  validation {
    condition = var.function.vpc == null ? true : (
      length(var.function.vpc.subnet_ids) >= 1 && length(var.function.vpc.subnet_ids) <= 16 &&
      length(var.function.vpc.security_group_ids) >= 1 && length(var.function.vpc.security_group_ids) <= 5
    )
    error_message = "function.vpc must name 1 to 16 subnet_ids and 1 to 5 security_group_ids: Lambda takes both or neither, within these limits."
  }
}

variable "image" {
  description = <<-EOT
    The container image: exactly one of
    - `build`: built and pushed by this apply whenever its content changes. `context` is a folder, relative to the root module (an absolute path differs on every
      checkout and builds again); `dockerfile` is relative to the context and may lie outside of it; `target` names a stage; `args` are build arguments (readable in state: nothing secret);
      `log_file` keeps the builder's whole output; `source_hash` replaces the hash over the context's files for callers that compute their own.
    - `uri`: an image built elsewhere, by digest: `<repository>@sha256:<64 hex>`. No Docker engine is needed then. Same region as the function.
  EOT
  type = object({
    build = optional(object({
      args        = optional(map(string), {})
      context     = string
      dockerfile  = optional(string, "Dockerfile")
      log_file    = optional(string)
      source_hash = optional(string)
      target      = optional(string)
    }))
    uri = optional(string)
  })
  nullable = false

  validation {
    condition     = (var.image.build == null) != (var.image.uri == null)
    error_message = "image must hold exactly one of build (made by this apply) and uri (made elsewhere)."
  }

  validation {
    condition     = var.image.uri == null ? true : can(regex("^[^@\\s]+/[^@\\s]+@sha256:[0-9a-f]{64}$", var.image.uri))
    error_message = "image.uri must name the image by digest, <registry>/<repository>@sha256:<64 hex>: a tag can be moved, and Lambda would not notice until its next update."
  }

  validation {
    condition     = var.image.build == null ? true : length(fileset(var.image.build.context, "**")) > 0
    error_message = "image.build.context (${try(var.image.build.context, "")}) is not a folder with at least one file in it: there is nothing to build. The path is relative to the root module."
  }

  validation {
    condition = var.image.build == null ? true : fileexists(
      startswith(var.image.build.dockerfile, "/") ? var.image.build.dockerfile : "${var.image.build.context}/${var.image.build.dockerfile}"
    )
    error_message = "image.build.dockerfile (${try(var.image.build.dockerfile, "")}) does not exist: it is looked for relative to image.build.context (${try(var.image.build.context, "")})."
  }
}

variable "logs" {
  description = <<-EOT
    Log groups of the function and of the gateway's access log.
    - `retention_days`: one of CloudWatch's steps, 1 to 3653.
    - `kms_key_arn`: its policy must let logs.<region>.amazonaws.com use the key.
    - `level`: least level of the application's lines (DEBUG, INFO, WARNING, ERROR, CRITICAL); the function has it as LOG_LEVEL.
  EOT
  type = object({
    kms_key_arn    = optional(string)
    level          = optional(string, "INFO")
    retention_days = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], var.logs.level)
    error_message = "logs.level must be DEBUG, INFO, WARNING, ERROR or CRITICAL: the names of Python's logging."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_days)
    error_message = "logs.retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653: CloudWatch knows no other."
  }
}

variable "name" {
  description = "Names everything: function, repository, API, log groups, and with the region appended the role. 2 to 40 lower-case letters, digits and single hyphens, beginning with a letter."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 40
    error_message = "name must be 2 to 40 lower-case letters, digits and single hyphens, beginning with a letter: it also names the ECR repository (lower case only) and, with the region appended, the IAM role (64 characters)."
  }
}

variable "permissions" {
  description = <<-EOT
    What the function may do beyond writing its logs.
    - `statements`: IAM statements that allow `actions` on `resources` (ARNs), under `conditions`. ARNs known at plan let policy scanners read them.
    - `boundary_arn`: permissions boundary of the role; one without logs:* mutes the function.
  EOT
  type = object({
    boundary_arn = optional(string)
    statements = optional(list(object({
      actions = list(string)
      conditions = optional(list(object({
        test     = string
        values   = list(string)
        variable = string
      })), [])
      resources = list(string)
      sid       = optional(string)
    })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for s in var.permissions.statements : length(s.actions) > 0 && length(s.resources) > 0])
    error_message = "permissions.statements: each statement must name at least one action and one resource, or it allows nothing."
  }

  validation {
    condition     = alltrue([for s in var.permissions.statements : !contains(s.actions, "*")])
    error_message = "permissions.statements must not allow the action \"*\": name the actions the application calls."
  }

  validation {
    condition     = alltrue([for s in var.permissions.statements : s.sid == null ? true : can(regex("^[a-zA-Z0-9]+$", s.sid))])
    error_message = "permissions.statements: a sid must consist of letters and digits: IAM's rule."
  }
}

variable "release" {
  description = <<-EOT
    Which version serves, and what it must answer first.
    - `version`: null for the newest, or the number of a published version: a rollback. Nothing is rebuilt for it.
    - `canary_percent`: with `version` pinned, the share of requests that the newest version gets, 0 to 99.
    - `smoke`: HTTP request sent to each version that is about to take traffic; another `status` than the stated one refuses the release.
  EOT
  type = object({
    canary_percent = optional(number, 0)
    smoke = optional(object({
      method = optional(string, "GET")
      path   = optional(string, "/healthz")
      status = optional(number, 200)
    }), {})
    version = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.release.version == null ? true : var.release.version >= 1 && floor(var.release.version) == var.release.version
    error_message = "release.version must be the number of a published version, from 1, or null for the newest."
  }

  validation {
    condition     = var.release.canary_percent >= 0 && var.release.canary_percent <= 99
    error_message = "release.canary_percent must be from 0 to 99: all of the traffic is release.version = null."
  }

  validation {
    condition     = var.release.canary_percent == 0 || var.release.version != null
    error_message = "release.canary_percent needs release.version: pin the version that keeps the rest of the traffic."
  }

  validation {
    condition     = startswith(var.release.smoke.path, "/") && !strcontains(var.release.smoke.path, "?")
    error_message = "release.smoke.path must begin with / and hold no query."
  }

  validation {
    condition     = contains(["GET", "HEAD"], var.release.smoke.method)
    error_message = "release.smoke.method must be GET or HEAD: the gate may ask a version more than once, and must change nothing."
  }

  validation {
    condition     = var.release.smoke.status >= 200 && var.release.smoke.status <= 499
    error_message = "release.smoke.status must be from 200 to 499: a version that answers 5xx is broken."
  }
}

variable "repository" {
  description = <<-EOT
    The ECR repository.
    - `images_kept`: newest images that retention keeps, from 10, so that rollbacks find theirs.
    - `force_delete`: whether destroy may delete a repository that holds images.
    - `kms_key_arn`: encrypts the images; changing it replaces the repository.
    - `pull_account_ids`: other AWS accounts, and their Lambda functions in this region, that may pull.
    - `registry_host`: `host[:port]` that replaces the registry's own in image names, for a registry proxy or an emulator.
  EOT
  type = object({
    force_delete     = optional(bool, false)
    images_kept      = optional(number, 30)
    kms_key_arn      = optional(string)
    pull_account_ids = optional(list(string), [])
    registry_host    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.repository.images_kept >= 10 && floor(var.repository.images_kept) == var.repository.images_kept
    error_message = "repository.images_kept must be a whole number from 10: Lambda stops when the image of a version that serves is gone, and a rollback needs one that once served."
  }

  validation {
    condition     = alltrue([for id in var.repository.pull_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "repository.pull_account_ids must be AWS account ids of 12 digits."
  }

  validation {
    condition     = var.repository.registry_host == null ? true : can(regex("^[a-zA-Z0-9.-]+(:[0-9]+)?$", var.repository.registry_host))
    error_message = "repository.registry_host must be host or host:port, without a scheme or a path."
  }
}

variable "tags" {
  description = "Tags of every resource that takes them."
  type        = map(string)
  default     = {}
  nullable    = false
}
