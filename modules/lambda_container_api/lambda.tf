resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_LCA_1:The caller decides, by function.reserved_concurrency; it comes out of the account's pool, of which 100 must stay unreserved
  #checkov:skip=CKV_AWS_50:The caller decides, by function.tracing, which is billed by trace
  #checkov:skip=CKV_AWS_116:API Gateway waits for its answer; dead letters exist only for asynchronous calls, see function.asynchronous
  #checkov:skip=CKV_AWS_117:The caller decides, by function.vpc; a function without private resources is no safer in a VPC
  #checkov:skip=CKV_AWS_272:Lambda does not offer code signing for container images; the digest is pinned instead
  function_name = var.name
  description   = "HTTP API ${var.name}, one container for all of its routes"
  role          = aws_iam_role.execution.arn

  package_type  = "Image"
  image_uri     = local.image_uri
  architectures = [var.function.architecture]
  publish       = true

  memory_size                    = var.function.memory_mb
  timeout                        = var.function.timeout_seconds
  reserved_concurrent_executions = var.function.reserved_concurrency == null ? -1 : var.function.reserved_concurrency
  kms_key_arn                    = var.function.kms_key_arn

  environment {
    variables = merge(
      { LOG_LEVEL = var.logs.level },
      var.function.environment,
      var.function.secrets,
      { SOURCE_HASH = local.source_hash },
    )
  }

  ephemeral_storage {
    size = var.function.ephemeral_storage_mb
  }

  dynamic "image_config" {
    for_each = var.function.image_config == null ? [] : [var.function.image_config]

    content {
      command           = image_config.value.command
      entry_point       = image_config.value.entry_point
      working_directory = image_config.value.working_directory
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
    for_each = var.function.snap_start ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.function.vpc == null ? [] : [var.function.vpc]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  tags = var.tags

  # Without its permissions the function cannot pull, log or make network interfaces, and would fail at creation.
  depends_on = [
    aws_ecr_repository_policy.this,
    aws_iam_role_policy.execution,
    aws_iam_role_policy_attachment.managed,
  ]
}

resource "aws_lambda_function_event_invoke_config" "live" {
  count = var.function.asynchronous == null ? 0 : 1

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_event_age_in_seconds = var.function.asynchronous.max_age_seconds
  maximum_retry_attempts       = var.function.asynchronous.retries

  dynamic "destination_config" {
    for_each = var.function.asynchronous.on_failure == null ? [] : [var.function.asynchronous.on_failure]

    content {
      on_failure {
        destination = destination_config.value.arn
      }
    }
  }
}
