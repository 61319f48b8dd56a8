locals {
  # A stopped function publishes nothing: Lambda would throttle the gate's invocation, and the provider would retry it for an hour.
  # The apply that starts it again publishes and releases what was deployed meanwhile.
  stopped = var.function.reserved_concurrency == null ? false : var.function.reserved_concurrency == 0

  in_vpc = nonsensitive(var.function.vpc != null)

  # A hash of what no data source returns for a version, so that a plan can tell whether the newest version has it (release.tf).
  start = nonsensitive(var.function.image_config == null && !var.function.snap_start) ? "" : " (start ${nonsensitive(substr(sha256(jsonencode([var.function.image_config, var.function.snap_start])), 0, 8))})"
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_LCA_1:The caller decides, by function.reserved_concurrency; it comes out of the account's pool, of which 100 must stay unreserved
  #checkov:skip=CKV_AWS_50:The caller decides, by function.tracing, which is billed by trace
  #checkov:skip=CKV_AWS_116:API Gateway invokes synchronously; dead letters exist only for asynchronous invocations, see function.asynchronous
  #checkov:skip=CKV_AWS_117:The caller decides, by function.vpc; a function without private resources is no safer in a VPC
  #checkov:skip=CKV_AWS_173:The caller decides, by function.kms_key_arn; without it an AWS managed key encrypts the variables
  #checkov:skip=CKV_AWS_272:Lambda does not offer code signing for container images; the digest is pinned instead
  function_name = var.name
  description   = "HTTP API ${var.name}, one container for all of its routes${local.start}"
  role          = local.role_arn

  package_type  = "Image"
  image_uri     = local.image_uri
  architectures = [var.function.architecture]
  publish       = !local.stopped

  memory_size                    = var.function.memory_mb
  timeout                        = var.function.timeout_seconds
  reserved_concurrent_executions = var.function.reserved_concurrency == null ? -1 : var.function.reserved_concurrency
  kms_key_arn                    = var.function.kms_key_arn

  environment {
    variables = merge(
      { LOG_LEVEL = var.logs.level },
      var.function.environment,
      var.function.secrets,
    )
  }

  ephemeral_storage {
    size = var.function.ephemeral_storage_mb
  }

  dynamic "file_system_config" {
    for_each = nonsensitive(var.function.file_system != null) ? [1] : []

    content {
      arn              = var.function.file_system.access_point_arn
      local_mount_path = var.function.file_system.mount_path
    }
  }

  dynamic "image_config" {
    for_each = nonsensitive(var.function.image_config != null) ? [1] : []

    content {
      command           = try([for word in var.function.image_config.command : word if word != null], null)
      entry_point       = try([for word in var.function.image_config.entry_point : word if word != null], null)
      working_directory = var.function.image_config.working_directory
    }
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.function.name
    application_log_level = local.application_log_level
    system_log_level      = "INFO"
  }

  tracing_config {
    mode = var.function.tracing ? "Active" : "PassThrough"
  }

  dynamic "snap_start" {
    for_each = nonsensitive(var.function.snap_start) ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  dynamic "vpc_config" {
    for_each = local.in_vpc ? [1] : []

    content {
      subnet_ids                  = [for id in var.function.vpc.subnet_ids : id if id != null]
      security_group_ids          = [for id in var.function.vpc.security_group_ids : id if id != null]
      ipv6_allowed_for_dual_stack = var.function.vpc.dual_stack
    }
  }

  tags = var.tags

  # With SnapStart, publishing waits for the version's snapshot, without which it cannot be invoked.
  timeouts {
    create = "20m"
    update = "20m"
  }

  lifecycle {
    precondition {
      condition     = local.own_repository || local.uri_region == local.region || local.uri_host == var.repository.registry_host
      error_message = "image.uri and repository.existing.url must be in ECR in the function's own region, <account>.dkr.ecr.${local.region}.<domain>, and not its FIPS endpoint: Lambda does not pull from ${coalesce(local.uri_host, "the registry")}. Push or replicate the image there. For another host, set repository.registry_host."
    }
  }

  # Without its permissions the function cannot pull, log or create network interfaces, and its creation would fail.
  depends_on = [
    aws_ecr_repository_policy.this,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.network_interfaces,
    aws_iam_role_policy_attachment.managed,
  ]
}

# Lambda's default is Terminate.
resource "aws_lambda_function_recursion_config" "this" {
  count = nonsensitive(var.function.recursive_loop == "Allow") ? 1 : 0

  function_name  = aws_lambda_function.this.function_name
  recursive_loop = var.function.recursive_loop
}

resource "aws_lambda_function_event_invoke_config" "live" {
  count = nonsensitive(var.function.asynchronous != null) ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_event_age_in_seconds = var.function.asynchronous.max_age_seconds
  maximum_retry_attempts       = var.function.asynchronous.retries

  dynamic "destination_config" {
    for_each = nonsensitive(var.function.asynchronous.on_failure != null) ? [1] : []

    content {
      on_failure {
        destination = var.function.asynchronous.on_failure.arn
      }
    }
  }
}
