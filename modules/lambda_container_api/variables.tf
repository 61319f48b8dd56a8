variable "alarms" {
  description = <<-EOT
    CloudWatch alarms, evaluated over five minutes (latencies: fifteen); null for none.
    - `actions`: up to 5 ARNs to notify on alarm and recovery, usually an SNS topic (not one encrypted with the AWS managed key, which CloudWatch cannot use).
    - `errors`, `server_errors`, `throttles`, `spillover`: thresholds, as counts: function errors, 5xx responses, throttled requests, cold starts despite provisioned concurrency.
    - `latency_p99_ms`, `latency_average_ms`: thresholds in milliseconds, as clients see it. A cold start at night fires neither: the average counts only five minutes with at least
      20 requests, and CloudWatch evaluates a p99 from about 1,000 requests in five minutes on (it keeps the alarm's state below).
    - `concurrency_percent`: threshold as a percentage of `function.reserved_concurrency`.
    - `duration_percent`: threshold as a percentage of `function.timeout_seconds`, for the slowest request.
    - `memory_percent`: threshold as a percentage of `function.memory_mb`, for the environment that used most. A metric filter of the function's log measures it.
    - `off`: alarms to leave out: errors, server-errors, throttles, latency (p99), latency-average, duration, memory, concurrency, spillover.
  EOT
  type = object({
    actions             = optional(list(string), [])
    concurrency_percent = optional(number, 80)
    duration_percent    = optional(number, 80)
    errors              = optional(number, 1)
    latency_average_ms  = optional(number, 200)
    latency_p99_ms      = optional(number, 200)
    memory_percent      = optional(number, 90)
    off                 = optional(set(string), [])
    server_errors       = optional(number, 1)
    spillover           = optional(number, 1)
    throttles           = optional(number, 1)
  })
  default = {}

  validation {
    condition     = var.alarms == null ? true : length([for arn in var.alarms.actions : arn if arn != null]) <= 5
    error_message = "alarms.actions must hold at most 5 ARNs: CloudWatch's limit for each kind of action."
  }

  validation {
    condition     = var.alarms == null ? true : alltrue([for arn in var.alarms.actions : arn == null ? true : can(regex("^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+$", arn))])
    error_message = "alarms.actions must hold ARNs, such as arn:aws:sns:<region>:<account>:<topic>: CloudWatch does not accept names."
  }

  validation {
    condition = var.alarms == null ? true : alltrue([
      for name in var.alarms.off : name == null ? true : contains(
        ["errors", "server-errors", "throttles", "latency", "latency-average", "duration", "memory", "concurrency", "spillover"], name
      )
    ])
    error_message = "alarms.off may name errors, server-errors, throttles, latency, latency-average, duration, memory, concurrency and spillover."
  }

  validation {
    condition     = var.alarms == null ? true : min(var.alarms.errors, var.alarms.latency_p99_ms, var.alarms.server_errors, var.alarms.spillover, var.alarms.throttles) > 0
    error_message = "alarms: errors, latency_p99_ms, server_errors, spillover and throttles must be above 0: at 0 the alarm would always fire. To leave an alarm out, list it in alarms.off."
  }

  validation {
    condition     = var.alarms == null ? true : var.alarms.concurrency_percent >= 1 && var.alarms.concurrency_percent <= 100
    error_message = "alarms.concurrency_percent must be from 1 to 100: a percentage of function.reserved_concurrency."
  }

  validation {
    condition     = var.alarms == null ? true : var.alarms.latency_average_ms > 0
    error_message = "alarms.latency_average_ms must be above 0: at 0 the alarm would always fire. To leave it out, list latency-average in alarms.off."
  }

  validation {
    condition     = var.alarms == null ? true : alltrue([for percent in [var.alarms.duration_percent, var.alarms.memory_percent] : percent >= 1 && percent <= 100])
    error_message = "alarms: duration_percent and memory_percent must be from 1 to 100: percentages of function.timeout_seconds and function.memory_mb, neither of which a request can exceed."
  }
}

variable "api" {
  description = <<-EOT
    The HTTP API: CORS, custom domain and throttling.
    - `cors`: null leaves CORS to the application. With an object, the gateway responds to preflights itself, regardless of `auth`, and overrides the application's CORS headers.
    - `domain`: custom domain `name` with a validated ACM `certificate_arn` in this region. `route53` creates its records in the hosted zone `zone_id`. `truststore_uri` (s3://…) requires client
      certificates (mTLS); API Gateway reads the file once, and again when the URI or `truststore_version` changes. With mTLS and a certificate that was imported into ACM or issued by a private CA,
      `ownership_verification_certificate_arn` names a public ACM certificate for the same name. `ip_address_type`: `dualstack` (IPv4 and IPv6) or `ipv4`. The default endpoint is disabled unless
      `keep_default_endpoint` is true. `base_path` serves the API under a path of the domain, such as `orders` or `orders/v1`; events do not contain it. `existing` joins a domain that another module or
      root created: only `name`, `base_path` and `keep_default_endpoint` apply then.
    - `throttle`: limits of the stage, shared by all clients: `rate_per_second` (steady rate) and `burst` (concurrent requests). Above them the gateway returns 429.
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
    domain = optional(object({
      base_path                              = optional(string)
      certificate_arn                        = optional(string)
      existing                               = optional(bool, false)
      ip_address_type                        = optional(string, "dualstack")
      keep_default_endpoint                  = optional(bool, false)
      name                                   = string
      ownership_verification_certificate_arn = optional(string)
      route53                                = optional(object({ zone_id = string }))
      truststore_uri                         = optional(string)
      truststore_version                     = optional(string)
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
      var.api.cors.allow_credentials && contains(concat(coalesce(var.api.cors.allow_origins, []), var.api.cors.allow_headers, var.api.cors.allow_methods), "*")
    )
    error_message = "api.cors.allow_credentials cannot be combined with \"*\" in allow_origins, allow_headers or allow_methods: browsers reject such responses, and API Gateway rejects the configuration. List the values."
  }

  validation {
    condition     = var.api.cors == null ? true : try(length(compact(var.api.cors.allow_origins)) > 0, false)
    error_message = "api.cors.allow_origins must name at least one origin, or \"*\": CORS without an origin allows nobody. Leave api.cors null for none."
  }

  validation {
    condition     = alltrue([for o in try(coalesce(var.api.cors.allow_origins, []), []) : o == null ? true : o == "*" || can(regex("^[a-z][a-z0-9+.-]*://[^/]+$", o))])
    error_message = "api.cors.allow_origins must be \"*\" or origins such as https://app.example.com: a scheme and a host, without a path or a trailing slash, as browsers send them."
  }

  validation {
    condition     = alltrue([for m in try(var.api.cors.allow_methods, []) : m == null ? true : can(regex("^([A-Z]{1,64}|[*])$", m))])
    error_message = "api.cors.allow_methods must be \"*\" or upper-case methods such as GET, of at most 64 letters: browsers compare case-sensitively, and 64 is API Gateway's limit."
  }

  validation {
    condition = alltrue([for h in concat(try(var.api.cors.allow_headers, []), try(var.api.cors.expose_headers, [])) :
      h == null ? true : can(regex("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", h))
    ])
    error_message = "api.cors.allow_headers and expose_headers must be \"*\" or header names, such as authorization."
  }

  validation {
    condition     = try(var.api.cors.max_age_seconds, 0) >= -1 && try(var.api.cors.max_age_seconds, 0) <= 86400
    error_message = "api.cors.max_age_seconds must be from -1 (no caching) to 86400 (a day): API Gateway's limits."
  }

  validation {
    condition     = var.api.domain == null ? true : can(regex("^(\\*\\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.api.domain.name)) && try(length(var.api.domain.name) <= 255, false)
    error_message = "api.domain.name must be a fully qualified host name in lower case, such as api.example.com."
  }

  validation {
    condition     = var.api.domain == null ? true : var.api.domain.existing || can(regex("^arn:[^:]+:acm:[^:]+:[0-9]{12}:certificate/.+$", var.api.domain.certificate_arn))
    error_message = "api.domain.certificate_arn must be the ARN of an ACM certificate in this region: API Gateway accepts no other. To join a domain that another module or root created, set api.domain.existing."
  }

  validation {
    condition = !try(coalesce(var.api.domain.existing, false), false) ? true : alltrue([for value in [
      var.api.domain.certificate_arn, var.api.domain.ownership_verification_certificate_arn, var.api.domain.route53, var.api.domain.truststore_uri, var.api.domain.truststore_version
    ] : value == null])
    error_message = "api.domain.existing joins a domain as it is: set certificates, route53 and the truststore where the domain is created."
  }

  validation {
    condition = try(var.api.domain.base_path, null) == null ? true : (
      can(regex("^[a-zA-Z0-9$._+!*'()-]+(/[a-zA-Z0-9$._+!*'()-]+)*$", var.api.domain.base_path)) && length(var.api.domain.base_path) <= 300
    )
    error_message = "api.domain.base_path must be a path of up to 300 letters, digits and $-_.+!*'(), without a slash at its ends, such as orders or orders/v1: API Gateway's rule. For the domain's root, omit it."
  }

  validation {
    condition = try(var.api.domain.ownership_verification_certificate_arn, null) == null ? true : can(
      regex("^arn:[^:]+:acm:[^:]+:[0-9]{12}:certificate/.+$", var.api.domain.ownership_verification_certificate_arn)
    )
    error_message = "api.domain.ownership_verification_certificate_arn must be the ARN of an ACM certificate in this region, or null."
  }

  validation {
    condition     = var.api.domain == null ? true : try(contains(["dualstack", "ipv4"], var.api.domain.ip_address_type), false)
    error_message = "api.domain.ip_address_type must be dualstack (IPv4 and IPv6) or ipv4: API Gateway's types."
  }

  validation {
    condition     = try(var.api.domain.route53, null) == null ? true : try(length(var.api.domain.route53.zone_id) > 0, false)
    error_message = "api.domain.route53.zone_id must be the ID of a hosted zone. Leave api.domain.route53 null if DNS is hosted elsewhere."
  }

  validation {
    condition = var.api.domain == null ? true : var.api.domain.truststore_uri == null ? var.api.domain.truststore_version == null : (
      can(regex("^s3://[^/]+/.+$", var.api.domain.truststore_uri)) && (var.api.domain.truststore_version == null ? true : can(regex("^.{1,64}$", var.api.domain.truststore_version)))
    )
    error_message = "api.domain.truststore_uri must be s3://<bucket>/<key> of a PEM file, and api.domain.truststore_version (1 to 64 characters) requires it."
  }

  validation {
    condition     = var.api.domain == null ? true : var.api.domain.truststore_uri == null || !var.api.domain.keep_default_endpoint
    error_message = "api.domain.keep_default_endpoint must be false with a truststore: the default endpoint requires no client certificate and would bypass mTLS."
  }

  validation {
    condition     = var.api.throttle.rate_per_second > 0 && var.api.throttle.burst >= 1 && floor(var.api.throttle.burst) == var.api.throttle.burst
    error_message = "api.throttle.rate_per_second must be above 0 and api.throttle.burst a whole number from 1: API Gateway treats null or 0 as \"reject every request with 429\"."
  }
}

variable "auth" {
  description = <<-EOT
    Who may call the API. A public API must state why.
    Exactly one of
    - `jwt`: bearer tokens from an OpenID Connect `issuer` for one of `audience` (1 to 50). With `scopes` (at most 10), a token needs at least one of them. API Gateway fetches
      <issuer>/.well-known/openid-configuration over the internet when the authorizer is created, and accepts tokens whose `iss` is exactly this URL, including any trailing slash.
    - `iam = {}`: requests signed by AWS principals that have execute-api:Invoke.
    - `lambda`: a Lambda authorizer (payload 2.0, simple responses) by `function_arn`, including its alias if it has one. A request that lacks one of `identity_sources` gets 401 without a call of the
      authorizer. `ttl_seconds` caches a response for every request with the same identity sources, on any path: an authorizer that checks the path or method needs
      `$context.path` and `$context.httpMethod` among them.
    - `public`: everybody. The `reason` is written into the API's description.
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
      ttl_seconds      = optional(number, 0)
    }))
    public = optional(object({
      reason = string
    }))
  })
  nullable = false

  validation {
    condition     = length([for choice in [var.auth.iam, var.auth.jwt, var.auth.lambda, var.auth.public] : true if choice != null]) == 1
    error_message = "auth must set exactly one of jwt, iam, lambda or public. A public API must state why: auth = { public = { reason = \"…\" } }."
  }

  validation {
    condition = var.auth.jwt == null ? true : can(regex("^https://[^/?#]+[^?#]*$", var.auth.jwt.issuer)) && try(
      length(var.auth.jwt.issuer) <= 2048 && !endswith(var.auth.jwt.issuer, "/.well-known/openid-configuration"), false
    )
    error_message = "auth.jwt.issuer must be an https:// URL without a query, of at most 2048 characters: API Gateway reads <issuer>/.well-known/openid-configuration."
  }

  validation {
    condition     = var.auth.jwt == null ? true : try(length(compact(var.auth.jwt.audience)) > 0 && !contains(var.auth.jwt.audience, ""), false)
    error_message = "auth.jwt.audience must name at least one audience, none of them empty: without one, any token from the issuer would be accepted."
  }

  validation {
    condition     = var.auth.jwt == null ? true : try(length(distinct(compact(var.auth.jwt.audience))) <= 50, true)
    error_message = "auth.jwt.audience must name at most 50 audiences: API Gateway's limit, which cannot be raised."
  }

  validation {
    condition = var.auth.jwt == null ? true : length(distinct(compact(var.auth.jwt.scopes))) <= 10 && alltrue([
      for scope in var.auth.jwt.scopes : scope == null ? true : length(scope) >= 1 && length(scope) <= 64
    ])
    error_message = "auth.jwt.scopes must name at most 10 scopes of 1 to 64 characters each: API Gateway's limits for a route, which cannot be raised."
  }

  validation {
    condition     = var.auth.lambda == null ? true : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$", var.auth.lambda.function_arn))
    error_message = "auth.lambda.function_arn must be the ARN of a Lambda function or of its alias: arn:aws:lambda:<region>:<account>:function:<name>[:<alias>]."
  }

  validation {
    condition     = var.auth.lambda == null ? true : var.auth.lambda.ttl_seconds >= 0 && var.auth.lambda.ttl_seconds <= 3600 && floor(var.auth.lambda.ttl_seconds) == var.auth.lambda.ttl_seconds
    error_message = "auth.lambda.ttl_seconds must be a whole number from 0 (no caching) to 3600: API Gateway's limits."
  }

  validation {
    condition     = var.auth.lambda == null ? true : var.auth.lambda.ttl_seconds == 0 || length(compact(var.auth.lambda.identity_sources)) > 0
    error_message = "auth.lambda.identity_sources must name at least one source unless ttl_seconds is 0: a cached response needs a key."
  }

  validation {
    condition = alltrue([for source in try(var.auth.lambda.identity_sources, []) :
      source == null ? true : can(regex("^[$](request[.](header|querystring)|context|stageVariables)[.][^ ]+$", source))
    ])
    error_message = "auth.lambda.identity_sources must be $request.header.<name>, $request.querystring.<name>, $context.<name> or $stageVariables.<name>: API Gateway's selection expressions."
  }

  validation {
    condition     = var.auth.public == null ? true : try(length(trimspace(var.auth.public.reason)) >= 10 && length(var.auth.public.reason) <= 512, false)
    error_message = "auth.public.reason must say in 10 to 512 characters why everybody may call this API: it is written into the API's description for the next reviewer."
  }
}

variable "dashboard" {
  description = "Whether to create a CloudWatch dashboard: availability, latency, cold starts, cost. An account's first three dashboards are free."
  type        = bool
  default     = true
  nullable    = false
}

variable "function" {
  description = <<-EOT
    Size, limits and environment of the Lambda function.
    - `memory_mb`: 128 to 10240; CPU scales with it (1 vCPU at 1769).
    - `timeout_seconds`: 1 to 29, since API Gateway stops waiting after 30 s. It applies to asynchronous invocations too: it is one function.
    - `architecture`: `x86_64` or `arm64`, for both the image build and Lambda.
    - `ephemeral_storage_mb`: size of /tmp, 512 to 10240.
    - `reserved_concurrency`: maximum concurrent requests. null uses the account's unreserved pool. 0 stops the function: the apply that raises it again publishes, tests and releases
      what was deployed meanwhile.
    - `environment`: variables, 4 KB in total with the module's own LOG_LEVEL. No secrets: values are readable in state and console.
    - `secrets`: variable name → ARN of a Secrets Manager secret or SSM parameter. The function gets the ARN and permission to read it, never the value.
      A secret encrypted with a customer managed KMS key also needs `kms:Decrypt` on that key, in `permissions`.
    - `kms_key_arn`: key that encrypts the environment variables; default: the AWS managed key.
    - `tracing`: AWS X-Ray.
    - `vpc`: subnets (1 to 16) and security groups (1 to 5), for private resources. Everything else then needs a NAT gateway or VPC endpoints, at a cost. `dual_stack` allows outbound IPv6; all
      subnets need an IPv6 range.
    - `file_system`: an EFS access point (`access_point_arn`), mounted at `mount_path`, such as /mnt/models. It needs `vpc`, and mount targets in its subnets before the function is created.
    - `asynchronous`: for callers that invoke the alias asynchronously (API Gateway never does): `max_age_seconds` and `retries` of an event, and
      `on_failure` = { arn } for events that failed: an SQS queue or SNS topic (neither FIFO), S3 bucket, Lambda function or EventBridge bus. The function gets permission to send there.
    - `snap_start`: start from a snapshot of the initialised environment. AWS base images for Python 3.12 or later need nothing else, nor does
      awslambdaric 3 or later on another image; without either the image needs `LABEL com.amazonaws.lambda.feature.snapstart="Allow"`, and no hooks run
      (https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html). What the application initialises must not be unique to an environment.
      Publishing a version takes minutes longer, and the snapshot of each published version is billed.
    - `image_config`: overrides of the image's command, entry point and working directory.
    - `recursive_loop`: `Terminate` (default) lets Lambda stop a function that invokes itself through SQS, SNS or S3 after about 16 calls; `Allow` does not.
  EOT
  type = object({
    architecture = optional(string, "x86_64")
    asynchronous = optional(object({
      max_age_seconds = optional(number, 21600)
      on_failure      = optional(object({ arn = string }))
      retries         = optional(number, 2)
    }))
    environment          = optional(map(string), {})
    ephemeral_storage_mb = optional(number, 512)
    file_system = optional(object({
      access_point_arn = string
      mount_path       = string
    }))
    image_config = optional(object({
      command           = optional(list(string))
      entry_point       = optional(list(string))
      working_directory = optional(string)
    }))
    kms_key_arn          = optional(string)
    memory_mb            = optional(number, 512)
    recursive_loop       = optional(string, "Terminate")
    reserved_concurrency = optional(number)
    secrets              = optional(map(string), {})
    snap_start           = optional(bool, false)
    timeout_seconds      = optional(number, 10)
    tracing              = optional(bool, false)
    vpc = optional(object({
      dual_stack         = optional(bool, false)
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
    error_message = "function.timeout_seconds must be a whole number from 1 to 29: API Gateway stops waiting after 30 s, and a longer run would only be billed."
  }

  validation {
    condition     = var.function.ephemeral_storage_mb >= 512 && var.function.ephemeral_storage_mb <= 10240 && floor(var.function.ephemeral_storage_mb) == var.function.ephemeral_storage_mb
    error_message = "function.ephemeral_storage_mb must be a whole number from 512 to 10240: Lambda's limits for /tmp."
  }

  validation {
    condition     = var.function.reserved_concurrency == null ? true : var.function.reserved_concurrency >= 0 && floor(var.function.reserved_concurrency) == var.function.reserved_concurrency
    error_message = "function.reserved_concurrency must be a whole number from 0 (which stops the function), or null (which uses the account's unreserved pool). For Lambda's -1, use null."
  }

  validation {
    condition     = alltrue([for k in keys(merge(var.function.environment, var.function.secrets)) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", k))])
    error_message = "function.environment and function.secrets: names must be two or more of a-z A-Z 0-9 _ and begin with a letter: Lambda's rule."
  }

  # AWS_LAMBDA_EXEC_WRAPPER and other variables that the runtimes read are not reserved.
  validation {
    condition = length([
      for k in keys(merge(var.function.environment, var.function.secrets)) : k if can(regex(join("", [
        "^(AWS_LAMBDA_(FUNCTION_(MEMORY_SIZE|NAME|VERSION)|INITIALIZATION_TYPE|LOG_(GROUP|STREAM)_NAME|MAX_CONCURRENCY|METADATA_(API|TOKEN)|RUNTIME_API)|",
        "AWS_(REGION|DEFAULT_REGION|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|EXECUTION_ENV)|",
        "LAMBDA_(TASK_ROOT|RUNTIME_DIR)|_HANDLER|_X_AMZN_TRACE_ID)$",
      ]), k))
    ]) == 0
    error_message = "function.environment and function.secrets must not set AWS_REGION, AWS_LAMBDA_FUNCTION_NAME, credentials or another name reserved by Lambda."
  }

  validation {
    condition     = length(setintersection(keys(var.function.environment), keys(var.function.secrets))) == 0
    error_message = "function.environment and function.secrets must not share a name: one of the two values would be lost."
  }

  # Lambda counts the bytes of the variables as JSON, with <, > and & unescaped. base64 has four characters for three bytes.
  validation {
    condition = floor(length(trim(base64encode(replace(replace(replace(
      jsonencode({ for k, v in merge({ LOG_LEVEL = var.logs.level }, var.function.environment, var.function.secrets) : k => v if v != null }),
      "\\u003c", "<"), "\\u003e", ">"), "\\u0026", "&"
    )), "=")) * 3 / 4) <= 4096
    error_message = "function.environment and function.secrets must not exceed 4096 bytes as JSON, including names, quotes and the module's own LOG_LEVEL: Lambda's limit. An accented letter takes two bytes, and so does an escaped quote or line break."
  }

  validation {
    condition     = var.function.kms_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:(key|alias)/.+$", var.function.kms_key_arn))
    error_message = "function.kms_key_arn must be the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>, or null for the AWS managed key."
  }

  validation {
    condition = alltrue([for arn in values(var.function.secrets) : arn == null ? true : can(
      regex("^arn:[^:]+:(secretsmanager:[^:]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]+-[a-zA-Z0-9]{6}|ssm:[^:]+:[0-9]{12}:parameter(/[a-zA-Z0-9_.-]+)+)$", arn)
    )])
    error_message = "function.secrets must map names to full ARNs of Secrets Manager secrets (ending in a hyphen and six characters) or of SSM parameters: IAM matches neither a partial ARN nor ECS's :<key>:<stage>:<version> suffix, and a secret's value would be readable in state."
  }

  validation {
    condition = var.function.vpc == null ? true : alltrue([
      for ids, most in { security_group_ids = 5, subnet_ids = 16 } : contains(range(1, most + 1), length([for id in coalesce(var.function.vpc[ids], []) : id if id != null]))
    ])
    error_message = "function.vpc must name 1 to 16 subnet_ids and 1 to 5 security_group_ids: Lambda takes both or neither, within these limits."
  }

  validation {
    condition = var.function.vpc == null ? true : alltrue([
      for id in concat(coalesce(var.function.vpc.security_group_ids, []), coalesce(var.function.vpc.subnet_ids, [])) : id == null ? true : id != ""
    ])
    error_message = "function.vpc: subnet_ids and security_group_ids must not contain \"\", which is not an ID. A null is ignored."
  }

  validation {
    condition = var.function.asynchronous == null ? true : (
      var.function.asynchronous.retries >= 0 && var.function.asynchronous.retries <= 2 && floor(var.function.asynchronous.retries) == var.function.asynchronous.retries &&
      var.function.asynchronous.max_age_seconds >= 60 && var.function.asynchronous.max_age_seconds <= 21600
    )
    error_message = "function.asynchronous: retries must be 0, 1 or 2, and max_age_seconds from 60 to 21600 (six hours): Lambda's limits."
  }

  validation {
    condition = try(var.function.asynchronous.on_failure, null) == null ? true : (
      can(regex("^arn:[^:]+:((sqs|sns|lambda|events):[^:]+:[0-9]{12}:.+|s3:::.+)$", var.function.asynchronous.on_failure.arn)) &&
      !try(endswith(var.function.asynchronous.on_failure.arn, ".fifo"), false)
    )
    error_message = "function.asynchronous.on_failure.arn must be the ARN of an SQS queue or SNS topic that is not FIFO, of an S3 bucket, a Lambda function or an EventBridge bus: Lambda supports no other destination."
  }

  validation {
    condition = var.function.file_system == null ? true : (
      can(regex("^arn:[^:]+:elasticfilesystem:[^:]+:[0-9]{12}:access-point/fsap-[0-9a-f]{17}$", var.function.file_system.access_point_arn)) &&
      can(regex("^/mnt/[a-zA-Z0-9_.-]{1,155}$", var.function.file_system.mount_path))
    )
    error_message = "function.file_system: access_point_arn must be the ARN of an EFS access point, and mount_path /mnt/ and a name, in up to 160 characters: Lambda's rules."
  }

  validation {
    condition     = var.function.file_system == null ? true : var.function.vpc != null && !var.function.snap_start
    error_message = "function.file_system needs function.vpc, through which Lambda mounts it, and cannot be combined with function.snap_start: SnapStart does not support EFS."
  }

  validation {
    condition     = contains(["Allow", "Terminate"], var.function.recursive_loop)
    error_message = "function.recursive_loop must be Allow or Terminate: Lambda's values."
  }

  validation {
    condition     = !var.function.snap_start || var.function.ephemeral_storage_mb == 512
    error_message = "function.snap_start cannot be combined with function.ephemeral_storage_mb above 512: SnapStart does not support a larger /tmp."
  }
}

variable "image" {
  description = <<-EOT
    The container image, built by this apply or elsewhere.
    Exactly one of
    - `build`: built and pushed by this apply whenever its content changes. `context` is a folder, relative to the root module (an absolute path differs between
      checkouts and triggers a build); `dockerfile` is relative to the context and may lie outside it; `target` names a stage; `args` are build arguments (readable in state: no secrets);
      `log_file`, outside the context, keeps the full build output. `source_hash` replaces the hash of the context and Dockerfile; nothing in the context is then
      read. Any text works that changes whenever they do, such as git's tree ID, which also covers modes and symlinks.
      `secrets`: BuildKit secrets by ID, each from the environment variable `env` or the `file` of the machine that applies, for `RUN --mount=type=secret,id=…`. Their values are in no state, hash, log
      or layer. A new value builds nothing. `additional_contexts`: named contexts, such as `docker-image://…`; a local folder needs `source_hash`, because only the main context is hashed.
      `builder`, `cache_from`, `cache_to` and `labels` (such as org.opencontainers.image.revision, besides the module's own lambda-container-api.source-hash) are those of the next build: changing
      them alone builds nothing.
    - `uri`: an image built elsewhere, by digest: `<repository>@sha256:<64 hex>`. No Docker engine is needed. It must be in ECR, in any account, in the function's region (Lambda's limit),
      or in the registry that `repository.registry_host` names.
  EOT
  type = object({
    build = optional(object({
      additional_contexts = optional(map(string), {})
      args                = optional(map(string), {})
      builder             = optional(string)
      cache_from          = optional(list(string), [])
      cache_to            = optional(list(string), [])
      context             = string
      dockerfile          = optional(string, "Dockerfile")
      labels              = optional(map(string), {})
      log_file            = optional(string)
      secrets = optional(map(object({
        env  = optional(string)
        file = optional(string)
      })), {})
      source_hash = optional(string)
      target      = optional(string)
    }))
    uri = optional(string)
  })
  nullable = false

  validation {
    condition     = (var.image.build == null) != (var.image.uri == null)
    error_message = "image must set exactly one of build (built by this apply) and uri (built elsewhere)."
  }

  validation {
    condition     = var.image.uri == null ? true : can(regex("^[^@\\s]+/[^@\\s]+@sha256:[0-9a-f]{64}$", var.image.uri))
    error_message = "image.uri must name the image by digest, <registry>/<repository>@sha256:<64 hex>: a tag can be moved, and Lambda would not notice until its next update."
  }

  validation {
    condition = alltrue([
      for text in try(concat(
        [var.image.build.builder, var.image.build.context, var.image.build.dockerfile, var.image.build.log_file, var.image.build.source_hash, var.image.build.target],
        var.image.build.cache_from, var.image.build.cache_to,
      ), []) : text != ""
    ])
    error_message = "image.build: builder, cache_from, cache_to, context, dockerfile, log_file, source_hash and target must not be \"\". Omit what has no value. The root module's own folder is the context \".\"."
  }

  validation {
    condition = alltrue([
      for id, secret in try(var.image.build.secrets, {}) : secret == null ? true : (
        can(regex("^[A-Za-z0-9._-]+$", id)) && (secret.env == null) != (secret.file == null) && can(regex("^[^,]+$", coalesce(secret.env, secret.file, ",")))
      )
    ])
    error_message = "image.build.secrets: each needs an ID of letters, digits and \"._-\", and exactly one source: env (the name of an environment variable) or file (a path), without commas, which separate BuildKit's options."
  }

  validation {
    condition     = alltrue([for name, source in try(var.image.build.additional_contexts, {}) : source == null ? true : can(regex("^[a-z0-9][a-z0-9._/:-]*$", name)) && source != ""])
    error_message = "image.build.additional_contexts: a name is in lower case, such as \"base\" or an image that it replaces, and its source is not \"\"."
  }

  validation {
    condition = try(var.image.build.source_hash, null) != null ? true : alltrue([
      for source in values(try(var.image.build.additional_contexts, {})) : source == null ? true : can(regex("^([a-z][a-z0-9+.-]*://|git@|target:)", source))
    ])
    error_message = "image.build.additional_contexts: a local folder is not part of the hash, so its changes would not be built. Set image.build.source_hash to a text that covers it, such as git's tree ID, or copy from the main context."
  }

  validation {
    condition     = alltrue([for name, value in try(var.image.build.labels, {}) : value == null ? true : can(regex("^[^=\\s]+$", name))])
    error_message = "image.build.labels: a name must not be empty or contain \"=\" or spaces, such as org.opencontainers.image.revision."
  }

  # fileexists fails for a folder. Unlike fileset it does not list the files, and a context may be large.
  validation {
    condition     = var.image.build == null ? true : var.image.build.context != null && !can(fileexists(var.image.build.context))
    error_message = "image.build.context (${nonsensitive(coalesce(try(var.image.build.context, null), "null"))}) is not a folder. The path is relative to the root module."
  }

  validation {
    condition = var.image.build == null ? true : try(fileexists(
      startswith(var.image.build.dockerfile, "/") ? var.image.build.dockerfile : "${var.image.build.context}/${var.image.build.dockerfile}"
    ), false)
    error_message = "image.build.dockerfile (${nonsensitive(try(var.image.build.dockerfile, ""))}) does not exist. The path is relative to image.build.context (${nonsensitive(coalesce(try(var.image.build.context, null), "null"))})."
  }
}

variable "logs" {
  description = <<-EOT
    Log groups of the function and of the gateway's access log.
    - `retention_days`: one of CloudWatch's steps, 1 to 3653.
    - `kms_key_arn`: key that encrypts both; its policy must let logs.<region>.amazonaws.com use it.
    - `level`: minimum level of the application's log lines (DEBUG, INFO, WARNING, ERROR, CRITICAL), passed to the function as LOG_LEVEL.
    - `class`: `STANDARD`, or `INFREQUENT_ACCESS` at half the price and without metric filters, metrics in the embedded metric format and Live Tail. CloudWatch cannot change the class of a
      group: a new class replaces both groups, and their logs are lost.
    - `keep_on_destroy`: whether the groups and their logs stay when the API is destroyed.
  EOT
  type = object({
    class           = optional(string, "STANDARD")
    keep_on_destroy = optional(bool, false)
    kms_key_arn     = optional(string)
    level           = optional(string, "INFO")
    retention_days  = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["INFREQUENT_ACCESS", "STANDARD"], var.logs.class)
    error_message = "logs.class must be STANDARD or INFREQUENT_ACCESS: the classes of CloudWatch Logs that can be queried."
  }

  validation {
    condition     = var.logs.class == "INFREQUENT_ACCESS" && var.alarms != null ? contains(var.alarms.off, "memory") : true
    error_message = "logs.class INFREQUENT_ACCESS has no metric filters, which the memory alarm needs: add \"memory\" to alarms.off, or set alarms to null."
  }

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], var.logs.level)
    error_message = "logs.level must be DEBUG, INFO, WARNING, ERROR or CRITICAL: the names of Python's logging."
  }

  validation {
    condition     = var.logs.kms_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:(key|alias)/.+$", var.logs.kms_key_arn))
    error_message = "logs.kms_key_arn must be the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>, or null for CloudWatch's own key: log groups accept no key ID."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.logs.retention_days)
    error_message = "logs.retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653: CloudWatch accepts no other."
  }
}

variable "name" {
  description = "Name of every resource: function, repository, API, log groups and, with the region appended, the role. 2 to 40 lower-case letters, digits and single hyphens, beginning with a letter."
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
    - `statements`: IAM statements that allow `actions` on `resources` (ARNs), under `conditions`: all of them must hold, and one of the `values` of each. Policy scanners can read
      ARNs that are known at plan. Together with the module's own statements they may have 10,240 characters: IAM's limit for a role's inline policies.
    - `boundary_arn`: permissions boundary of the role. A boundary without logs:* silences the function.
    - `role_name_prefix`, `role_path`: prefix of the role's name, and its IAM path, such as /services/. They apply to a new role; a deployed one keeps its name and path.
    - `existing_role`: `arn` of a role of your own, used as it is. It must trust lambda.amazonaws.com and allow what the output `execution_policy` contains.
  EOT
  type = object({
    boundary_arn     = optional(string)
    existing_role    = optional(object({ arn = string }))
    role_name_prefix = optional(string)
    role_path        = optional(string)
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
    condition     = var.permissions.boundary_arn == null ? true : can(regex("^arn:[^:]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions.boundary_arn))
    error_message = "permissions.boundary_arn must be the ARN of an IAM policy, arn:aws:iam::<account>:policy/<name>, or null for none."
  }

  validation {
    condition     = var.permissions.existing_role == null ? true : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/.+$", var.permissions.existing_role.arn))
    error_message = "permissions.existing_role.arn must be the ARN of an IAM role, arn:aws:iam::<account>:role/<path and name>."
  }

  validation {
    condition = var.permissions.existing_role == null ? true : length(var.permissions.statements) == 0 && alltrue([
      for value in [var.permissions.boundary_arn, var.permissions.role_name_prefix, var.permissions.role_path] : value == null
    ])
    error_message = "permissions.existing_role is used as it is: statements, boundary_arn, role_name_prefix and role_path belong to the role that the module creates. Add what the function needs to your role."
  }

  validation {
    condition     = var.permissions.role_path == null ? true : can(regex("^/([!-.0-~]+/)*$", var.permissions.role_path)) && try(length(var.permissions.role_path) <= 512, false)
    error_message = "permissions.role_path must begin and end with a slash, such as /services/, in up to 512 characters: IAM's rule."
  }

  validation {
    condition     = var.permissions.role_name_prefix == null ? true : can(regex("^[a-zA-Z0-9+=,.@_-]+$", var.permissions.role_name_prefix))
    error_message = "permissions.role_name_prefix must be letters, digits and +=,.@_-: IAM's rule for names."
  }

  validation {
    condition = alltrue([for s in var.permissions.statements : s == null ? true : try(
      length([for action in s.actions : action if action != null]) > 0 && length([for arn in s.resources : arn if arn != null]) > 0, false
    )])
    error_message = "permissions.statements: each statement must name at least one action and one resource, or it allows nothing."
  }

  validation {
    condition     = alltrue([for s in var.permissions.statements : !contains(try(coalesce(s.actions, []), []), "*")])
    error_message = "permissions.statements must not allow the action \"*\": name the actions the application calls."
  }

  validation {
    condition = alltrue([for action in flatten([for s in var.permissions.statements : try(coalesce(s.actions, []), [])]) :
      action == null ? true : can(regex("^([a-zA-Z0-9-]+:[a-zA-Z0-9*?]+|[*])$", action))
    ])
    error_message = "permissions.statements: actions must be <service>:<action>, such as s3:GetObject: IAM accepts no other form."
  }

  validation {
    condition = alltrue([for arn in flatten([for s in var.permissions.statements : try(coalesce(s.resources, []), [])]) :
      arn == null ? true : can(regex("^(arn:.+|[*])$", arn))
    ])
    error_message = "permissions.statements: resources must be ARNs, or \"*\" for actions without resource-level permissions: IAM accepts no names."
  }

  validation {
    condition = alltrue([for c in flatten([for s in var.permissions.statements : try(coalesce(s.conditions, []), [])]) :
      c == null ? true : try(
        length(c.test) > 0 && length(c.variable) > 0 && length([for value in c.values : value if value != null]) > 0, false
      )
    ])
    error_message = "permissions.statements: each condition must name its test, its variable and at least one value: IAM's rule."
  }

  validation {
    condition     = alltrue([for s in var.permissions.statements : try(s.sid, null) == null ? true : can(regex("^[a-zA-Z0-9]+$", s.sid))])
    error_message = "permissions.statements: a sid must consist of letters and digits: IAM's rule."
  }

  validation {
    condition = length(distinct(concat(["MountFileSystem", "ReadParameters", "ReadSecrets", "ReportFailures", "WriteLogs"], [
      for s in var.permissions.statements : s.sid if try(s.sid, null) != null
    ]))) == 5 + length([for s in var.permissions.statements : s.sid if try(s.sid, null) != null])
    error_message = "permissions.statements: each sid must be unique and none of the module's own (MountFileSystem, ReadParameters, ReadSecrets, ReportFailures, WriteLogs): IAM's rule."
  }
}

variable "provisioned_concurrency" {
  description = <<-EOT
    Environments kept initialised on each version that takes traffic, so that requests within their number see no cold start; null for none. Billed by the hour, used or not.
    A release initialises the next version's environments before traffic moves and then drops the old ones: meanwhile there are twice as many. A canary's version has its own `min`.
    - `min`: number of environments, from 1; without `max`, the exact number. Each release and rollback starts at `min`.
    - `max`: Application Auto Scaling keeps the number between `min` and `max`, aiming for `target_utilization` (0.1 to 0.9) of them in use.
  EOT
  type = object({
    max                = optional(number)
    min                = number
    target_utilization = optional(number, 0.7)
  })
  default = null

  validation {
    condition     = var.provisioned_concurrency == null ? true : try(var.provisioned_concurrency.min >= 1 && floor(var.provisioned_concurrency.min) == var.provisioned_concurrency.min, false)
    error_message = "provisioned_concurrency.min must be a whole number from 1: Lambda's limit. Leave provisioned_concurrency null for none."
  }

  validation {
    condition = try(var.provisioned_concurrency.max, null) == null ? true : (
      var.provisioned_concurrency.max >= coalesce(var.provisioned_concurrency.min, 1) && floor(var.provisioned_concurrency.max) == var.provisioned_concurrency.max
    )
    error_message = "provisioned_concurrency.max must be a whole number not below provisioned_concurrency.min."
  }

  validation {
    condition     = var.provisioned_concurrency == null ? true : var.provisioned_concurrency.target_utilization >= 0.1 && var.provisioned_concurrency.target_utilization <= 0.9
    error_message = "provisioned_concurrency.target_utilization must be from 0.1 to 0.9: Application Auto Scaling's limits."
  }

  validation {
    condition = var.provisioned_concurrency == null || var.function.reserved_concurrency == null ? true : var.function.reserved_concurrency >= (
      coalesce(var.provisioned_concurrency.max, var.provisioned_concurrency.min, 1) + coalesce(var.provisioned_concurrency.min, 1) * (var.release.canary_percent > 0 ? 2 : 1)
    )
    error_message = "provisioned_concurrency needs function.reserved_concurrency of at least max (or min, without max) + min, with a canary + 2 × min: during a release the next version gets its min while the old one keeps all of its own, and provisioned concurrency counts against reserved concurrency."
  }

  validation {
    condition     = var.provisioned_concurrency == null || !var.function.snap_start
    error_message = "provisioned_concurrency cannot be combined with function.snap_start: Lambda supports one or the other."
  }
}

variable "release" {
  description = <<-EOT
    Which version serves, and the smoke test that it must pass first.
    - `version`: null for the newest, or the number of a published version: a rollback. Nothing is rebuilt.
    - `canary_percent`: with `version` pinned, the percentage of requests that the newest version gets, 0 to 99.
    - `smoke`: HTTP request that each version must pass before it takes traffic. The response must have `status` (200 to 499) and, where `contains` is given, a body that contains this text;
      `also` lists further requests, sent in parallel. Any other response refuses the release. Events are API Gateway's (payload 2.0), without an authorizer's claims:
      `method` (GET, HEAD, OPTIONS or POST), `path`, `query`, `headers` (those of `smoke` apply to `also` as well) and `body` (as application/json unless a header says otherwise).
      `host` is the one that clients use: by default `api.domain.name`, or else the API's own endpoint.
      Each release, rollback and change of a request sends them again, and Lambda's client may retry: a request must leave no lasting change. Requests, including secrets, are readable in state.
  EOT
  type = object({
    canary_percent = optional(number, 0)
    smoke = optional(object({
      also = optional(list(object({
        body     = optional(string)
        contains = optional(string)
        headers  = optional(map(string), {})
        method   = optional(string, "GET")
        path     = string
        query    = optional(map(string), {})
        status   = optional(number, 200)
      })), [])
      body     = optional(string)
      contains = optional(string)
      headers  = optional(map(string), {})
      host     = optional(string)
      method   = optional(string, "GET")
      path     = optional(string, "/healthz")
      query    = optional(map(string), {})
      status   = optional(number, 200)
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
    error_message = "release.canary_percent must be from 0 to 99. For all of the traffic, set release.version to null."
  }

  validation {
    condition     = var.release.canary_percent == 0 || var.release.version != null
    error_message = "release.canary_percent needs release.version: pin the version that keeps the rest of the traffic."
  }

  validation {
    condition     = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : can(regex("^/[^?#\\s]*$", request.path))])
    error_message = "release.smoke.path and release.smoke.also[*].path must begin with / and contain no query, fragment or space: use query for the query, and %20 for a space."
  }

  validation {
    condition     = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : contains(["GET", "HEAD", "OPTIONS", "POST"], request.method)])
    error_message = "release.smoke.method and release.smoke.also[*].method must be GET, HEAD, OPTIONS or POST: the gate may repeat a request, so it must change nothing."
  }

  validation {
    condition = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : (
      request.status >= 200 && request.status <= 499 && floor(request.status) == request.status
    )])
    error_message = "release.smoke.status and release.smoke.also[*].status must be a whole number from 200 to 499: a version that returns 5xx is broken."
  }

  validation {
    condition = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : (
      request.contains == null ? true : request.contains != "" && request.method != "HEAD"
    )])
    error_message = "release.smoke.contains and release.smoke.also[*].contains must not be empty, which matches every body, nor be set with HEAD, whose response has no body."
  }

  validation {
    condition = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : (
      request.body == null ? true : !contains(["GET", "HEAD"], request.method) && length(base64encode(request.body)) <= 6000000
    )])
    error_message = "release.smoke.body and release.smoke.also[*].body must not be set with GET or HEAD, nor exceed 4.5 MB: Lambda accepts events of 6 MB, in which a body may be base64."
  }

  validation {
    condition = alltrue([for request in concat([var.release.smoke], var.release.smoke.also) : request == null ? true : (
      alltrue([for name, value in request.headers : can(regex("^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$", name)) && !contains(["content-length", "host"], lower(name)) && !can(regex("[\r\n]", value))]) &&
      length(distinct([for name in keys(request.headers) : lower(name)])) == length(request.headers)
    )])
    error_message = "release.smoke.headers and release.smoke.also[*].headers must have names of letters, digits and hyphens, unique regardless of case, and single-line values. Set the host in release.smoke.host; Content-Length is computed."
  }

  validation {
    condition     = var.release.smoke.host == null ? true : can(regex("^[a-zA-Z0-9.-]+(:[0-9]+)?$", var.release.smoke.host))
    error_message = "release.smoke.host must be host or host:port, without a scheme or a path."
  }
}

variable "repository" {
  description = <<-EOT
    The ECR repository. With `image.uri` there is none.
    - `images_kept`: newest images that retention keeps, 10 to 100000, so that a rollback finds its image. Every push counts, even of a refused release: while an old version is pinned
      for long, keep more images than you will build.
    - `force_delete`: whether destroy, or a switch to `image.uri`, may delete a repository that contains images.
    - `kms_key_arn`: key that encrypts the images; changing it replaces the repository. The applying principal needs kms:CreateGrant, kms:DescribeKey and kms:RetireGrant on it.
    - `pull_account_ids`: other AWS accounts, and their Lambda functions in this region, that may pull. This account's functions always may.
    - `existing`: `url` of a repository of your own to push to, without scheme and tag, in this region (Lambda's limit). Its policy must let Lambda pull, and its retention must keep the images of
      published versions. The root's Docker provider must log in to its registry.
    - `registry_host`: `host[:port]` that replaces the registry's own in image names, for a registry proxy or an emulator.
  EOT
  type = object({
    existing         = optional(object({ url = string }))
    force_delete     = optional(bool, false)
    images_kept      = optional(number, 30)
    kms_key_arn      = optional(string)
    pull_account_ids = optional(list(string), [])
    registry_host    = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.repository.existing == null ? true : can(regex("^[a-zA-Z0-9.-]+(:[0-9]+)?/[a-z0-9]+([._/-]+[a-z0-9]+)*$", var.repository.existing.url))
    error_message = "repository.existing.url must be <registry>/<repository>, without a scheme and a tag, such as 111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/orders."
  }

  validation {
    condition = var.repository.existing == null ? true : var.image.build != null && (
      !var.repository.force_delete && var.repository.kms_key_arn == null && length(var.repository.pull_account_ids) == 0
    )
    error_message = "repository.existing is used as it is, by image.build: force_delete, kms_key_arn and pull_account_ids belong to the repository that the module creates, and image.uri needs none."
  }

  validation {
    condition     = var.repository.images_kept >= 10 && floor(var.repository.images_kept) == var.repository.images_kept
    error_message = "repository.images_kept must be a whole number from 10: a version stops working once its image is deleted, and a rollback needs an earlier image."
  }

  validation {
    condition     = var.repository.kms_key_arn == null ? true : can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.repository.kms_key_arn))
    error_message = "repository.kms_key_arn must be the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>, or null for ECR's own: ECR resolves an alias to its key, which would replace the repository at the next apply."
  }

  validation {
    condition     = alltrue([for id in var.repository.pull_account_ids : id == null ? true : can(regex("^[0-9]{12}$", id))])
    error_message = "repository.pull_account_ids must be AWS account ids of 12 digits."
  }

  validation {
    condition     = var.repository.registry_host == null ? true : can(regex("^[a-zA-Z0-9.-]+(:[0-9]+)?$", var.repository.registry_host))
    error_message = "repository.registry_host must be host or host:port, without a scheme or a path."
  }
}

variable "routes" {
  description = <<-EOT
    Exceptions to the `$default` route, by route key: `METHOD /path`, with {name} for one segment and a final {name+} for the rest; ANY is a method. `/users` and `/users/` are different paths.
    - `auth`: replaces the API's: `public = { reason }`, `iam = {}` or `scopes` (other scopes of the API's JWT authorizer, at most 10).
    - `throttle`: `rate_per_second` and `burst` of this route.
    - `legacy`: an existing function (`function_arn`, including its alias if it has one) that still serves the route; `payload_format_version` is 1.0 for functions written for a REST API.
      Remove the entry, and the container serves the route. Each entry is a statement in the function's policy, which has room for about 50: one `ANY /{rest+}` can replace many.
    Where the application responds to preflights itself (`api.cors` is null) and `auth` is not public, make these public: `OPTIONS /`, `OPTIONS /{proxy+}`, and `OPTIONS …` for each ANY route with auth,
    each with `auth = { public = { reason = "Preflights carry no credentials" } }`. With `api.cors` the module adds these routes.
  EOT
  type = map(object({
    auth = optional(object({
      iam    = optional(object({}))
      public = optional(object({ reason = string }))
      scopes = optional(list(string))
    }))
    legacy = optional(object({
      function_arn           = string
      payload_format_version = optional(string, "2.0")
    }))
    throttle = optional(object({
      burst           = number
      rate_per_second = number
    }))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.routes) : can(regex("^(ANY|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) /(([^{}/ ?#\"]+|{[a-zA-Z0-9_]+})/)*([^{}/ ?#\"]+|{[a-zA-Z0-9_]+[+]?})?$", key))])
    error_message = "routes: keys must be \"METHOD /path\", such as \"GET /users/{id}\" or \"ANY /reports/{rest+}\": API Gateway's form. The module owns $default."
  }

  validation {
    condition     = length(var.routes) <= 299
    error_message = "routes must hold at most 299 entries: API Gateway allows 300 routes (unless the quota is raised) and 300 integrations (a fixed limit) per API, and $default is one of each."
  }

  validation {
    condition = alltrue([for route in values(var.routes) : try(route.auth, null) == null ? true : (
      length([for choice in [route.auth.iam, route.auth.public, route.auth.scopes] : true if choice != null]) == 1
    )])
    error_message = "routes: auth of a route must hold exactly one of iam, public or scopes."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.auth.scopes, null) == null ? true : var.auth.jwt != null])
    error_message = "routes: auth.scopes of a route needs auth.jwt: scopes are read from its tokens."
  }

  validation {
    condition = alltrue([for route in values(var.routes) : try(route.auth.scopes, null) == null ? true : length(distinct(compact(route.auth.scopes))) <= 10 && alltrue([
      for scope in route.auth.scopes : scope == null ? true : length(scope) >= 1 && length(scope) <= 64
    ])])
    error_message = "routes: auth.scopes of a route must name at most 10 scopes of 1 to 64 characters each: API Gateway's limits, which cannot be raised."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.auth.public, null) == null ? true : try(length(trimspace(route.auth.public.reason)) >= 10, false)])
    error_message = "routes: auth.public.reason of a route must say in 10 characters or more why everybody may call it."
  }

  validation {
    condition = var.api.cors == null ? true : alltrue([
      for key, route in var.routes : !startswith(key, "OPTIONS ") || (try(route.auth, null) == null ? var.auth.public != null : try(route.auth.public, null) != null)
    ])
    error_message = "routes: auth of an OPTIONS route must be public with api.cors: browsers send preflights without credentials, which would be rejected."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.legacy, null) == null ? true : try(contains(["1.0", "2.0"], route.legacy.payload_format_version), false)])
    error_message = "routes: legacy.payload_format_version must be 1.0 or 2.0: API Gateway's formats."
  }

  validation {
    condition     = alltrue([for route in values(var.routes) : try(route.legacy, null) == null ? true : can(regex("^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[^:]+(:[^:]+)?$", route.legacy.function_arn))])
    error_message = "routes: legacy.function_arn must be the ARN of a Lambda function or of its alias: arn:aws:lambda:<region>:<account>:function:<name>[:<alias>]."
  }

  # A statement has about 300 bytes besides path and function.
  validation {
    condition = try(alltrue([for bytes in values({
      for key, route in var.routes : route.legacy.function_arn => 300 + length(key) + length(route.legacy.function_arn)... if try(route.legacy, null) != null
    }) : sum(bytes) <= 20480]), true)
    error_message = "routes: legacy routes of one function must fit its resource policy, 20 KB with a statement of about 400 bytes for each: Lambda's limit, which cannot be raised. One route with {rest+} can replace many."
  }

  validation {
    condition = alltrue([for route in values(var.routes) : try(route.throttle, null) == null ? true : try(
      route.throttle.rate_per_second > 0 && route.throttle.burst >= 1 && floor(route.throttle.burst) == route.throttle.burst, false
    )])
    error_message = "routes: throttle of a route needs rate_per_second above 0 and burst a whole number from 1: API Gateway treats 0 as \"reject every request with 429\"."
  }
}

variable "tags" {
  description = "Tags of every resource that supports them: up to 50 with the provider's default_tags, keys of 1 to 128 characters, values of up to 256; letters, digits, spaces and _ . : / = + - @. A null is ignored."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]{1,128}$", key))])
    error_message = "tags: keys must be 1 to 128 letters, digits, spaces and _ . : / = + - @: AWS's rule."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : value == null ? true : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]{0,256}$", value))])
    error_message = "tags: values must be up to 256 letters, digits, spaces and _ . : / = + - @: AWS's rule."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags: keys must not begin with aws: in any letter case: AWS reserves the prefix."
  }
}
